"""The program that users run is one that a shim can stand before; and two who build at once do not disturb each other."""

import fcntl
import re
import subprocess
from pathlib import Path

import pytest
from sockproof import build

CALLS = ("socket", "bind", "listen", "connect", "accept4", "send", "recv", "read", "write", "poll", "select", "epoll_wait", "close",
         "shutdown", "getsockopt", "setsockopt")


def imports(program: Path) -> set[str]:
    """The names of the dynamic symbols that `program` wants from elsewhere."""
    listed = subprocess.run(["nm", "-D", "--undefined-only", str(program)], capture_output=True, text=True, check=True).stdout
    return {re.split(r"@", line.split()[-1])[0] for line in listed.splitlines()}


def test_the_battery_imports_the_calls_themselves(built: build.Build) -> None:
    wanted = imports(built.battery)
    assert wanted.issuperset(CALLS)
    assert not [name for name in wanted if re.fullmatch(r"__(recv|recvfrom|read|poll|ppoll|fdelt|send|write)\w*_chk", name)]


def test_the_battery_has_no_sanitizer_in_it(built: build.Build) -> None:
    assert not [name for name in imports(built.battery) if name.startswith(("__asan", "__ubsan", "__tsan"))]


def test_a_build_waits_for_the_one_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKPROOF_BUILD", str(tmp_path))
    called: list[list[str]] = []

    def watched(command: list[str]) -> None:
        with (tmp_path / "release" / ".sockproof-lock").open("w") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        called.append(command)

    monkeypatch.setattr(build, "_call", watched)
    assert build.ensure().folder == tmp_path / "release"
    assert [command[1] for command in called] == ["--preset", "--build"]
    with (tmp_path / "release" / ".sockproof-lock").open("w") as free:
        fcntl.flock(free, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_a_failing_build_says_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOCKPROOF_BUILD", str(tmp_path))
    with pytest.raises(build.BuildError, match="nonsense"):
        build.ensure("nonsense")
