"""Results that hold one of everything, for the views to be tried on."""

from typing import Any

from reports.records import Results

NASTY = "<script>alert('x')</script> & \"quoted\" \x00\x1b[31m ü"


def requirement(name: str, **more: Any) -> dict[str, Any]:
    return {"record": "requirement", "id": name, "area": name.split(".")[0], "text": f"The text of {name}.", "needs": [],
            "level": "MUST", "allow": ["ok"], "cite": ["A document, clause 1"], "entry_of": "linux"} | more


def check(scenario: str, name: str, outcome: str, verdict: str, **more: Any) -> dict[str, Any]:
    return {"record": "check", "scenario": scenario, "family": scenario.split("/")[1], "area": name.split(".")[0], "repeat": 0,
            "requirement": name, "outcome": outcome, "native": None, "allowed": ["ok"], "level": "MUST", "verdict": verdict,
            "citation": ["A document, clause 1"], "where": "area.cpp:7", "detail": "", "deviation": None} | more


def scenario(name: str, verdict: str, requirements: list[str], **more: Any) -> dict[str, Any]:
    return {"record": "scenario", "name": name, "area": requirements[0].split(".")[0], "family": name.split("/")[1], "repeat": 0,
            "verdict": verdict, "unexpected": False, "reason": "", "level": "MUST", "requirements": requirements,
            "duration_ms": 12.5, "cpu_ms": 1.5, "max_rss_kib": 4000, "exit": {"status": 0, "signal": None}, "limit": None,
            "stragglers": 0, "stacks": [], "stacks_missing": None, "steps": [], "missing": [],
            "trace": [f"line {number}" for number in range(60)], "trace_dropped": 0, "output_tail": "",
            "replay": f"./sockproof run linux --filter '{name}'"} | more


def run(**more: Any) -> dict[str, Any]:
    return {
        "record": "run", "format": 1, "started": "2026-01-02T03:04:05Z", "scenarios": 10, "seed": 1, "jobs": 2, "repeat": 1,
        "target": {"name": "linux", "text": "", "file": None, "digest": None, "provider": "posix", "profile": "linux",
                   "environment": {}},
        "provider": {"name": "posix", "version": "glibc 2.36", "digest": None}, "launcher": [], "launcher_mode": "scenario",
        "machine": {"system": "Linux", "release": "6.1", "version": "#1", "architecture": "x86_64", "cores": 2, "memory_mib": 4096},
        "sysctls": {"net.ipv4.tcp_syncookies": "1"}, "isolation": {"mode": "netns", "user_namespace": False, "reason": None},
        "catalogue_digest": None, "build": {"compiler": None, "type": None, "flags": None, "sanitizers": []}, "capabilities": [],
        "battery": {"path": "/somewhere/sockproof-battery", "sha256": "0" * 64}, "filter": "*", "shard": None,
        "selftest": False, "strict": False, "timeout_scale": 1.0, "argv": []} | more


RECORDS: list[dict[str, Any]] = [
    run(),
    requirement("accept.order"),
    requirement("accept.wide", allow=["ok", "EAGAIN", "EINTR"]),
    requirement("connect.refused", allow=["ECONNREFUSED"], text=f"Refused. {NASTY}"),
    requirement("connect.forged", needs=["inject"]),
    check("Accept.Order/inet", "accept.order", "ok", "passed"),
    scenario("Accept.Order/inet", "passed", ["accept.order"]),
    check("Accept.Order/inet6", "accept.order", "newest_first", "failed", native=0, detail=NASTY),
    scenario("Accept.Order/inet6", "failed", ["accept.order"], unexpected=True, reason="1 requirement failed"),
    check("Accept.Wide/inet", "accept.wide", "EAGAIN", "passed", allowed=["ok", "EAGAIN", "EINTR"]),
    scenario("Accept.Wide/inet", "passed", ["accept.wide"]),
    check("Accept.Wide/unix", "accept.wide", "EIO", "known_deviation", native=5, allowed=["ok", "EAGAIN", "EINTR"],
          deviation={"reason": "It has no queue of its own.", "evidence": "Its manual, page 7."}),
    scenario("Accept.Wide/unix", "known_deviation", ["accept.wide"], reason="it is known to give EIO: a reason"),
    scenario("Accept.Wide/inet6", "not_supported", ["accept.wide"], reason="capability ipv6: no ::1 here"),
    scenario("Connect.Refused/inet", "crashed", ["connect.refused"], unexpected=True, reason="signal 11 (SIGSEGV)",
             stacks=["Thread 1\n#0 connect\n#1 main"], output_tail=NASTY),
    scenario("Connect.Refused/inet6", "hung", ["connect.refused"], unexpected=True, reason="no end within 10000 ms",
             stacks_missing="no debugger"),
    scenario("Connect.Refused/unix", "harness_error", ["connect.refused"], unexpected=True, reason="no end record",
             steps=[{"call": "listen", "outcome": "EIO", "detail": "", "where": "connect.cpp:9"}]),
    check("Connect.Refused/dual", "connect.refused", "ECONNREFUSED", "passed", allowed=["ECONNREFUSED"]),
    scenario("Connect.Refused/dual", "unexpected_pass", ["connect.refused"], unexpected=True, reason="the deviation is gone"),
    check("Connect.Refused/seqpacket", "connect.refused", "ENOENT", "failed", level="SHOULD", allowed=["ECONNREFUSED"]),
    scenario("Connect.Refused/seqpacket", "failed", ["connect.refused"], level="SHOULD"),
    {"record": "summary", "scenarios": 10, "results": 10, "not_run": 0, "wall_ms": 1234, "cpu_ms": 15.0, "runner_cpu_ms": 3.0,
     "longest_ms": 12.5, "wall_over_bound": 1.1, "wall_over_scenarios": 1.2, "wall_ms_per_result": 123.4,
     "interrupted": False, "resumed": 0, "exit_code": 1,
     "flaky": [],
     "unexpected": ["Accept.Order/inet6", "Connect.Refused/dual", "Connect.Refused/inet", "Connect.Refused/inet6",
                    "Connect.Refused/unix"],
     "counts": {"passed": 2, "failed": 2, "known_deviation": 1, "unexpected_pass": 1, "not_supported": 1, "observed": 0,
                "crashed": 1, "hung": 1, "flaky": 0, "harness_error": 1}},
]


def results(records: list[dict[str, Any]] | None = None) -> Results:
    gathered = Results()
    for record in RECORDS if records is None else records:
        gathered.add(record)
    return gathered
