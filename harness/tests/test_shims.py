"""Shims: those that keep to the protocol are put under test, and none that does not takes the suite down or a verdict away."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sockproof import build, paths, shimcheck

from conftest import Call

SHIMS = Path(__file__).parent / "shims"
PYTHON = f"/usr/bin/python3 -EsS {paths.ROOT / 'providers/shim/python/shim.py'}"
FAULT = "refused-is-timed-out"
Record = dict[str, object]


def run(built: build.Build, folder: Path, command: str, scenario: str, *more: str,
        profile: str = "posix") -> "tuple[subprocess.CompletedProcess[str], list[Record]]":
    done = subprocess.run([built.runner, "--battery", built.battery, "--provider", f"shim:{command}", "--profile", profile,
                           "--filter", scenario, "--output", folder, *more],
                          capture_output=True, text=True, timeout=120, check=False)
    results = folder / "results.jsonl"
    records = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    return done, [record for record in records if record["record"] == "scenario"]


def hostile(mode: str, at: str = "") -> str:
    return f"{sys.executable} {SHIMS / 'hostile.py'} {mode} {at}".rstrip()


def left(marker: str) -> list[int]:
    """The processes whose command line holds `marker`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if marker in (entry / "cmdline").read_bytes().decode(errors="replace"):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


@pytest.mark.parametrize("mode, at, verdict, says", [
    ("signal", "bind", "crashed", "died of SIGSEGV; under way: 2 'bind s3 address=inet:.*'"),
    ("exit", "bind", "crashed", "ended with exit code 3; under way: 2 'bind s3"),
    ("torn", "bind", "crashed", "exit code 0, in the middle of the line '2 ok hand'; under way: 2 'bind s3"),
    ("closes", "bind", "crashed", "closed its side of the connection; under way: 2 'bind s3"),
    ("leaves-a-child", "bind", "crashed", "ended with exit code 0; under way: 2 'bind s3"),
    ("no-number", "bind", "harness_error", "does not begin with an operation's number; .*last line was 'hello world'"),
    ("unknown-number", "bind", "harness_error", "answers an operation that there never was; .*'999 ok'"),
    ("number-not-given-yet", "bind", "harness_error", "that there never was"),
    ("twice", "bind", "harness_error", "answers an operation a second time; .*'2 ok'"),
    ("no-such-error", "bind", "harness_error", "'bind s3 .*', 'EFOO': no such outcome: 'EFOO'"),
    ("unknown-word", "bind", "harness_error", "'bind s3 .*', 'ok colour=red': ok: does not know the word 'colour' here"),
    ("no-form", "bind", "harness_error", "cannot read 'many'"),
    ("empty", "bind", "harness_error", "does not begin with an operation's number"),
    ("only-number", "bind", "harness_error", "no such outcome: ''"),
    ("watcher-for-a-socket", "socket", "harness_error", "'socket family=inet', 'ok handle=w3': its new socket is no 'handle="),
    ("no-handle", "socket", "harness_error", "'socket family=inet', 'ok'"),
    ("invalid-handle", "socket", "harness_error", "its new socket is no"),
    ("asks", "bind", "harness_error", "asks a question in the middle of 'bind s3 .*', which has no condition function"),
    ("no-address", "local_name", "harness_error", "'local_name s3 .*nowhere,16'"),
    ("binary", "bind", "harness_error", r"does not begin with an operation's number; .*'\\x00"),
    ("carriage-return", "bind", "harness_error", r"no such outcome: 'ok\\?"),
    ("floods-a-line", "bind", "harness_error", "floods; a line is longer than .* begins '2 ok value=1111"),
    ("floods-lines", "bind", "harness_error", "answers an operation a second time"),
    ("floods-errors", "bind", "crashed", "wrote more than 16 MiB of output"),
    ("stalls", "bind", "harness_error", "stalls: it has not answered '3 ping' .*under way: 2 'bind s3"),
    ("less-data", "recv", "harness_error", "'recv s3 .*cannot read '2:6162'"),
    ("more-data", "recv", "harness_error", "'recv s3 .*cannot read '300:6161"),
    ("other-length", "recv", "harness_error", "'recv s3 .*cannot read '3:6162'"),
])
def test_a_shim_that_lies_is_told_by_what_it_did(built: build.Build, tmp_path: Path, mode: str, at: str, verdict: str,
                                                 says: str) -> None:
    scenario = "Message.RecvWithoutAConnection/inet" if at == "recv" else "Bind.Name/inet"
    command = hostile(mode, at) + f" {tmp_path.name}"
    done, scenarios = run(built, tmp_path / "out", command, scenario)
    assert len(scenarios) == 1, done.stderr
    assert (scenarios[0]["verdict"], scenarios[0]["unexpected"]) == (verdict, True), scenarios[0]["reason"]
    assert re.search(says, str(scenarios[0]["reason"])), scenarios[0]["reason"]
    assert done.returncode == (2 if verdict == "harness_error" else 1)
    assert left(command.split(" ", 1)[1].replace(" ", "\0")) == []


@pytest.mark.parametrize("mode, says", [
    ("version", "speaks version 2 of the protocol, this is version 1"),
    ("nonsense-greeting", "first line must be 'sockproof-shim 1 NAME CAPABILITY...', and is 'hello'"),
    ("two-words", "first line must be"),
    ("capability", "names the capability 'signals'"),
])
def test_a_shim_that_greets_wrongly_is_not_run(built: build.Build, tmp_path: Path, mode: str, says: str) -> None:
    done, scenarios = run(built, tmp_path / "out", hostile(mode), "Bind.Name/inet")
    assert done.returncode == 2 and says in done.stderr and not scenarios


@pytest.mark.parametrize("command, says", [
    ("/nowhere/shim", "cannot start '/nowhere/shim': No such file or directory"),
    ("exit 4", "ended with exit code 4, before it had greeted"),
    ("unix:/nowhere/shim", "no connection to a shim at unix:/nowhere/shim"),
    ("tcp:192.0.2.1:80", "is not this machine"),
    ("tcp:nowhere", "is no address"),
])
def test_a_shim_that_is_not_there(built: build.Build, tmp_path: Path, command: str, says: str) -> None:
    if command.startswith("exit"):
        command = f"{command};"  # a word of the shell's
    done, scenarios = run(built, tmp_path / "out", command, "Bind.Name/inet")
    assert done.returncode == 2 and says in done.stderr and not scenarios, done.stderr


def test_what_a_shim_prints_is_shown(built: build.Build, tmp_path: Path) -> None:
    _, scenarios = run(built, tmp_path / "out", f"echo one last word >&2; exec {hostile('exit')}", "Bind.Name/inet")
    assert "one last word" in json.dumps(scenarios[0])


def test_a_shim_that_does_not_leave_is_made_to(built: build.Build, tmp_path: Path) -> None:
    command = f"{hostile('never-leaves', 'nothing')} {tmp_path.name}"
    run(built, tmp_path / "out", command, "Bind.Name/inet")
    assert left(command.split(" ", 1)[1].replace(" ", "\0")) == []


def test_a_condition_function_is_a_call_back(built: build.Build, tmp_path: Path) -> None:
    command = f"PYTHONPATH={paths.ROOT / 'providers/shim/python'} /usr/bin/python3 {SHIMS / 'conditional.py'}"
    done, scenarios = run(built, tmp_path / "out", command,
                          "Condition.AsksOnceAndAccepts/inet:Condition.IsToldWhoCalls/inet", profile="winsock")
    assert [each["verdict"] for each in scenarios] == ["passed", "passed"], (done.stderr, [each["reason"] for each in scenarios])


def test_a_fault_before_a_shim_is_noticed(built: build.Build, tmp_path: Path) -> None:
    scenario = "Refused.*/inet"
    good, _ = run(built, tmp_path / "good", PYTHON, scenario, profile="linux")
    bad, _ = run(built, tmp_path / "bad", PYTHON, scenario, "--fault", FAULT, profile="linux")
    assert (good.returncode, bad.returncode) == (0, 1), (good.stderr, bad.stderr)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_shim_may_be_there_already(built: build.Build, tmp_path: Path, kind: str) -> None:
    """Every connection is a conversation of its own: here, a process of its own too."""
    with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as listener:
        listener.bind(str(tmp_path / "shim") if kind == "unix" else ("127.0.0.1", 0))
        listener.listen(64)
        where = f"unix:{tmp_path / 'shim'}" if kind == "unix" else f"tcp:127.0.0.1:{listener.getsockname()[1]}"

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    subprocess.Popen(PYTHON.split(" "), stdin=connection, stdout=connection)

        threading.Thread(target=serve, daemon=True).start()
        done, scenarios = run(built, tmp_path / "out", where, "Bind.*/unix", "--isolation", "none")
        listener.shutdown(socket.SHUT_RDWR)
    assert {each["verdict"] for each in scenarios} <= {"passed", "observed", "not_supported", "failed"}, done.stderr
    assert sum(each["verdict"] == "passed" for each in scenarios) > 5


def test_the_self_check_finds_nothing_wrong_with_the_shim_of_python() -> None:
    said: list[str] = []
    assert shimcheck.check(PYTHON, said.append), said
    assert all(line.startswith("ok") for line in said) and len(said) == 6


@pytest.mark.parametrize("mode, at, says", [
    ("version", "bind", "speaks version 2"),
    ("nonsense-greeting", "bind", "the first line is 'hello'"),
    ("capability", "bind", "names signals"),
    ("closes-at-once", "bind", "the shim"),
    ("no-number", "bind", "does not begin with"),
    ("unknown-number", "bind", "there never was"),
    ("torn", "bind", "in the middle of the line"),
    ("exit", "bind", "exit code 3"),
    ("no-handle", "socket", "has no word handle="),
    ("only-number", "bind", "is no answer"),
    ("binary", "bind", "no printable ASCII"),
    ("carriage-return", "bind", "carriage return"),
    ("stalls", "accept", "does not answer 'ping'"),
])
def test_the_self_check_says_what_is_wrong(mode: str, at: str, says: str) -> None:
    said: list[str] = []
    start = time.monotonic()
    assert not shimcheck.check(hostile(mode, at), said.append)
    assert said[-1].startswith("WRONG") and says in said[-1], said
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("kind", ["shim-python", "c", "cpp"])
def test_a_provider_that_has_just_begun_runs_and_has_nothing_wrong(sockproof: Call, tmp_path: Path, kind: str) -> None:
    begun = sockproof("new", "provider", "begun", "--kind", kind, "--in", tmp_path)
    assert begun.returncode == 0, begun.stderr
    done = sockproof("run", tmp_path / "begun" / "begun.toml", "--filter", "Listen.*:Bind.Name/*", "-o", tmp_path / "out")
    assert done.returncode == 3 and " 0 unexpected" in done.stdout, done.stdout + done.stderr
    assert re.search(r"^all +\d+ +\d+ +0 %", done.stdout, re.MULTILINE), done.stdout
    again = sockproof("new", "provider", "begun", "--kind", kind, "--in", tmp_path)
    assert again.returncode == 2 and "is there already" in again.stderr


def test_a_provider_turns_green_function_by_function(sockproof: Call, tmp_path: Path) -> None:
    sockproof("new", "provider", "grows", "--kind", "shim-python", "--in", tmp_path)
    source = tmp_path / "grows" / "grows.py"
    text = source.read_text()
    for name, body in (("import", "import socket as native_sockets\n"),
                       ("socket", "    made = native_sockets.socket(native_sockets.AF_INET)\n    sockets[made.fileno()] = made\n"
                                  "    return f'ok handle=s{made.fileno()}'\n"),
                       ("bind", "    socket.bind(native(words['address']))\n    return 'ok'\n"),
                       ("listen", "    socket.listen(int(words.get('backlog', 0)))\n    return 'ok'\n"),
                       ("close", "    socket.close()\n    return 'ok'\n")):
        if name == "import":
            text = text.replace("from sockproof_shim import", f"{body}\nfrom sockproof_shim import native,")
        text = text.replace(f'    raise CannotSay("{name} is not written yet")\n', body)
    source.write_text(text)
    done = sockproof("run", tmp_path / "grows" / "grows.toml", "--filter", "Listen.*/inet", "-o", tmp_path / "out")
    assert done.returncode == 0 and not re.search(r"^all +\d+ .* 0 %", done.stdout, re.MULTILINE), done.stdout + done.stderr
