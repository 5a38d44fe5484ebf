"""Windows programs under Wine: what a run prepares, and the battery as such a program."""

import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reports.records import Results
from sockproof import build, runner, targets, wine

pytestmark = pytest.mark.xdist_group("wine")


@pytest.fixture(name="windows", scope="module")
def programs_for_windows() -> Iterator[build.Build]:
    with build.prepared(True, jobs=2) as built:
        yield built


def run(built: build.Build, target: targets.Target, scenarios: str, **more: str) -> tuple[Results, int]:
    results = Results()
    job = runner.Run(built, target, runner.Options(filter=scenarios, jobs=2, timeout_scale=4, **more))  # type: ignore[arg-type]
    for record in job.records():
        results.add(record)
    return results, job.code


def reference(profile: str) -> targets.Target:
    return targets.Target(name="reference", provider=f"reference:{profile}", profile=profile, for_windows=True, isolation="none")


def test_the_servers_are_gone_afterwards(tmp_path: Path) -> None:
    with wine.running(2) as emulator:
        prefixes = [Path(word.partition("=")[2]) for job in "01" for word in shlex.split(emulator.replace("{job}", job))
                    if word.startswith("WINEPREFIX=")]
        assert len(set(prefixes)) == 2 and all((prefix / "system.reg").is_file() for prefix in prefixes)
        said = subprocess.run([*shlex.split(emulator.replace("{job}", "1")), "cmd.exe", "/c", "echo", "here"], cwd=tmp_path,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        assert said.stdout.strip() == "here" and said.returncode == 0
    assert not any(prefix.exists() for prefix in prefixes)
    alive = [entry for entry in Path("/proc").glob("[0-9]*/environ") if _mentions(entry, str(prefixes[0].parent))]
    assert not alive


def _mentions(file: Path, text: str) -> bool:
    try:
        return text.encode() in file.read_bytes()
    except OSError:
        return False


def test_the_battery_is_the_same_program_on_windows(windows: build.Build) -> None:
    results, code = run(windows, reference("winsock"), "Accept.*/inet:Refused.*/inet:Condition*/inet")
    assert code == runner.AS_EXPECTED
    assert sum(each.verdict == "passed" for each in results.scenarios) > 20


@pytest.mark.parametrize("fault, reason", [
    ("crash-accept-null", "died of exception 0xC0000005 (access violation)"),
    ("crash-listen-abort", "died of exception 0x40000015 (abort)"),
    ("crash-accept-exit", "exit without a result (status 0)"),
])
def test_a_crash_is_told_with_its_code(windows: build.Build, fault: str, reason: str) -> None:
    results, code = run(windows, reference("winsock"), "Accept.ReturnsTheConnection/inet", fault=fault)
    assert code == runner.UNEXPECTED
    only = results.scenarios[0]
    assert (only.verdict, only.reason) == ("crashed", reason)


def test_a_hang_is_a_hang_there_too(windows: build.Build) -> None:
    results, code = run(windows, reference("winsock"), "Accept.FirstInFirstOut/inet", fault="crash-listen-hangs")
    assert code == runner.UNEXPECTED and results.scenarios[0].verdict == "hung"


def test_sockets_of_one_entry_of_the_catalogue(windows: build.Build) -> None:
    results, code = run(windows, targets.resolve("winsock"), "Accept.ReturnsTheConnection/*", protocol_id="1001")
    assert code == runner.AS_EXPECTED
    assert results.run["target"]["provider"] == "winsock:id=1001"
    verdicts = {each.name.split("/")[1]: each.verdict for each in results.scenarios}
    assert (verdicts["inet"], verdicts["inet6"]) == ("passed", "not_supported")


@pytest.mark.parametrize("asked, missing", [
    ({"protocol_id": "77"}, "has no entry 77; it has:"),
    ({"provider_guid": "{00000000-1111-2222-3333-444444444444}"}, "no entry of provider {00000000-1111-2222-3333-444444444444}"),
    ({"provider_guid": "tcp"}, "guid={XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}"),
])
def test_an_entry_that_there_is_not_ends_the_run(windows: build.Build, asked: dict[str, str], missing: str) -> None:
    said: list[str] = []
    job = runner.Run(windows, targets.resolve("winsock"), runner.Options(**asked), on_stderr=said.append)  # type: ignore[arg-type]
    assert not list(job.records())
    assert job.code == runner.HARNESS_FAILED and missing in "\n".join(said)


def test_only_windows_sockets_have_a_catalogue(sockproof: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    done = sockproof("run", "linux", "--protocol-id", "1001")
    assert done.returncode == runner.HARNESS_FAILED and "they go with winsock, not with 'linux'" in done.stderr
