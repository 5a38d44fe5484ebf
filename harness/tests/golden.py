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
            "citation": ["A document, clause 1"], "where": "area.cpp:7", "detail": ""} | more


def scenario(name: str, verdict: str, requirements: list[str], **more: Any) -> dict[str, Any]:
    return {"record": "scenario", "name": name, "area": requirements[0].split(".")[0], "family": name.split("/")[1], "repeat": 0,
            "verdict": verdict, "unexpected": False, "reason": "", "level": "MUST", "requirements": requirements,
            "duration_ms": 12.5, "cpu_ms": 1.5, "max_rss_kib": 4000, "exit": {"code": 0}, "limit": None, "stacks": [],
            "stacks_missing": None, "steps": [], "trace": [f"line {number}" for number in range(60)], "output_tail": "",
            "replay": f"./sockproof run linux --filter '{name}'"} | more


RECORDS: list[dict[str, Any]] = [
    {"record": "run", "target": {"name": "linux", "provider": "posix", "profile": "linux"}, "repeat": 1, "jobs": 2, "scenarios": 10,
     "kernel": "Linux 6.1", "sysctls": {"net.ipv4.tcp_syncookies": "1"}},
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
    check("Accept.Wide/unix", "accept.wide", "EIO", "failed", native=5, allowed=["ok", "EAGAIN", "EINTR"]),
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
    {"record": "summary", "exit": 1, "wall_ms": 1234},
]


def results(records: list[dict[str, Any]] | None = None) -> Results:
    gathered = Results()
    for record in RECORDS if records is None else records:
        gathered.add(record)
    return gathered
