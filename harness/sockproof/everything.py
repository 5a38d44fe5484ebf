"""`run all`: every target that there is, one after the other, each in a process of its own, and one page that compares them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from reports import compare
from reports.records import load
from sockproof import paths, runner, targets

LIMIT_S = 300  # of one target, whatever it does; its scenarios have limits of their own, and hardly any target comes near this
BUILD_LIMIT_S = 3600  # of installing and building what a target needs, and of running no scenario
NOTHING = "Nothing.AtAll"  # a filter that no scenario passes
# Targets that `all` leaves out and names. Each starts the runtime of a language for every scenario, and few can be asked there.
LEFT_OUT = {name: f"left out, as it costs much and shows little: ./sockproof run {name}"
            for name in ("shim-java", "shim-node", "shim-rust")}
TAIL = 3  # lines of what a target said that are its reason, where it could not run


def members() -> list[str]:
    """The names of the targets that `all` means: those of the kernel and the reference provider first, as others are read
    against them."""
    first = ["linux", *(f"reference:{profile}" for profile in targets.REFERENCE_PROFILES)]
    return first + [target.name for target in targets.known() if target.name not in (*first, *LEFT_OUT)]


def run(output: Path, options: list[str], say: Callable[[str], None], limit_s: float = LIMIT_S,
        names: list[str] | None = None) -> int:
    """Runs every target with `options`, results in folders below `output`; then writes the page that compares them. The worst
    exit code of those that ran; a target that cannot run here is named with its reason, and harms nobody."""
    columns: list[compare.Column] = []
    codes: list[int] = []
    made: set[tuple[bool, str, str]] = set()
    folders = {name: output / "".join(c if c.isalnum() or c in "-_." else "_" for c in name) for name in names or members()}
    if there := [str(folder) for folder in folders.values() if folder.exists()]:
        say(f"results are there already, and would be lost: {', '.join(there)}; take another --output")
        return runner.HARNESS_FAILED
    for name, folder in folders.items():
        code, said = 0, ""
        if (needs := _needs(name)) not in made:  # what is installed and built is not the target's time
            code, said = _one(name, folder, [*options, "--filter", NOTHING], BUILD_LIMIT_S)
            made.add(needs)
        started = time.monotonic()
        if code != runner.HARNESS_FAILED:
            code, said = _one(name, folder, options, limit_s)
        seconds = time.monotonic() - started
        try:
            results = load(folder)
        except (OSError, ValueError):
            results = None
        if results is None or not results.scenarios:
            reason = said or f"it ended with {code} and left no results"
            columns.append(compare.Column(name, None, code, seconds, folder.name, reason))
            say(f"{name:<24} did not run: {reason}")
            continue
        columns.append(compare.Column(name, results, code, seconds, folder.name, said if code == 2 else ""))
        codes.append(code)
        say(compare.line(columns[-1]))
    for name, reason in LEFT_OUT.items() if names is None else ():
        columns.append(compare.Column(name, None, 3, 0.0, "", reason))
        say(f"{name:<24} did not run: {reason}")
    page = output / "compare.html"
    compare.write(columns, page)
    for column in columns:
        for scenario in column.unexpected():
            say(f"unexpected: {column.name} {scenario}")
    ran = [column for column in columns if column.results is not None]
    say(f"{len(ran)} of {len(columns)} targets ran in {sum(column.seconds for column in columns):.0f} s; "
        f"{sum(len(column.unexpected()) for column in ran)} unexpected")
    say(f"comparison: {page}")
    return next((code for code in (2, 1, 0) if code in codes), 3)


def _needs(name: str) -> tuple[bool, str, str]:
    """What has to be there before it can run: targets that need the same are made ready together."""
    try:
        target = targets.resolve(name)
    except targets.UnknownTarget:
        return False, "", ""
    return target.for_windows, target.packages, target.prepare


def _one(name: str, folder: Path, options: list[str], limit_s: float) -> tuple[int, str]:
    """Runs one target as the user would. Its exit code, and the last lines that it said where it could not run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [str(paths.ROOT / "sockproof"), "run", name, "--output", str(folder), *options]
    log = folder / "run.log"
    with log.open("w") as out, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                                start_new_session=True) as process:
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            _end(process)
            return 2, f"it was ended after {limit_s:.0f} s"
        except BaseException:
            _end(process)
            raise
    if code not in (runner.AS_EXPECTED, runner.UNEXPECTED, runner.NOTHING_RAN):
        code = runner.HARNESS_FAILED  # a signal, or what no run ends with
    if code not in (runner.HARNESS_FAILED, runner.NOTHING_RAN):
        return code, ""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return code, " / ".join(lines[-TAIL:])


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Interrupts a run, as a user would, so that it writes what it has; then whatever is left of its group."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(10)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
        except OSError as reason:
            print(f"sockproof: {reason}", file=sys.stderr)
