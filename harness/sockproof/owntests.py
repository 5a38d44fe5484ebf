"""The project's own tests and checks, one step after the other, each with its own closing lines."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sockproof import build, mutants, paths

CORES = len(os.sched_getaffinity(0))
TIDY_CHECKS = ("-*,bugprone-use-after-move,bugprone-dangling-handle,bugprone-infinite-loop,bugprone-sizeof-expression,"
               "bugprone-string-constructor,bugprone-suspicious-memset-usage,bugprone-unused-raii,bugprone-unused-return-value,"
               "misc-unused-using-decls,performance-for-range-copy,performance-move-const-arg")
SANITIZED = ("--preset", "debug", "--timeout-scale", "5")  # neither optimized nor in a hurry
SOURCES = ("conformance", "providers", "harness", "fuzz")


class StepFailed(Exception):
    """A step found something; it has been printed."""


@dataclass
class Step:
    """A step that was taken: how it ended, in the words of the tool that did it."""

    name: str
    good: bool
    seconds: float
    closing: str


def say(command: list[str], closing: str, **environment: str) -> str:
    """Runs `command`, lets its output through, and gives the last line of it that matches `closing`. Raises StepFailed."""
    last = ""
    with subprocess.Popen(command, cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", env={**os.environ, **environment}) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if re.search(closing, line):
                last = line.strip().strip("= ")
    if process.returncode != 0:
        raise StepFailed(last or f"{command[0]} ended with {process.returncode}")
    return last


def sources(*endings: str) -> list[Path]:
    """The project's own files with these endings; what is built or checked out beside them is none of ours."""
    try:
        listed = subprocess.run(["git", "-C", str(paths.ROOT), "ls-files", "-z", *SOURCES], capture_output=True, text=True,
                                check=True).stdout.split("\0")
        files: Iterable[Path] = (paths.ROOT / name for name in listed if name)
    except (OSError, subprocess.CalledProcessError):  # not a clone, or somebody else's
        files = (file for folder in SOURCES for file in (paths.ROOT / folder).rglob("*"))
    return sorted(file for file in files if file.suffix in endings and file.is_file())


def _format() -> str:
    files = sources(".cpp", ".h", ".c")
    say(["clang-format-14", "--dry-run", "--Werror", *map(str, files)], "$^")
    return f"{len(files)} files formatted"


def _python() -> str:
    say([sys.executable, "-m", "flake8", "harness", "reports"], "$^")
    return say([sys.executable, "-m", "mypy", "harness/sockproof", "reports"], "Success|Found")


def _changed() -> set[Path]:
    """What differs from the commit before this one, or from SOCKPROOF_TIDY_BASE; without git, everything."""
    base = os.environ.get("SOCKPROOF_TIDY_BASE", "HEAD~1")
    try:
        names = subprocess.run(["git", "-C", str(paths.ROOT), "diff", "--name-only", "-z", base, "--", *SOURCES],
                               capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        return set(sources(".cpp"))
    return {paths.ROOT / name for name in names if name}


def _tidy() -> str:
    """clang-tidy on each changed source that this build folder has not seen clean as it is now."""
    folder = paths.build_dir("release")
    seen = folder / "tidy"
    seen.mkdir(exist_ok=True)
    flags = hashlib.sha256(TIDY_CHECKS.encode())
    for header in sources(".h"):
        flags.update(header.read_bytes())
    commands = (folder / "compile_commands.json").read_text(encoding="utf-8")
    todo: list[tuple[Path, Path]] = []
    changed = _changed()
    for file in sources(".cpp"):
        if file not in changed:
            continue
        key = flags.copy()
        key.update(file.read_bytes())
        if f'"{file}"' in commands and not (seen / key.hexdigest()).exists():
            todo.append((file, seen / key.hexdigest()))

    def look(entry: tuple[Path, Path]) -> str:
        file, stamp = entry
        done = subprocess.run(["clang-tidy", "-p", str(folder), "--quiet", f"--checks={TIDY_CHECKS}", "--warnings-as-errors=*",
                               str(file)], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            stamp.touch()
            return ""
        return done.stdout + done.stderr

    with ThreadPoolExecutor(CORES) as pool:
        complaints = [complaint for complaint in pool.map(look, todo) if complaint]
    for complaint in complaints:
        print(complaint)
    if complaints:
        raise StepFailed(f"{len(complaints)} of {len(todo)} files")
    return f"{len(todo)} changed files"


def _build(preset: str, targets: tuple[str, ...]) -> Callable[[], str]:
    def step() -> str:
        try:
            return str(build.ensure(preset, targets).folder)
        except build.BuildError as failed:
            print(failed)
            raise StepFailed("does not build") from failed
    return step


def _strict(preset: str, targets: tuple[str, ...]) -> Callable[[], str]:
    """A build in which a warning is an error."""
    def step() -> str:
        folder = paths.build_dir(preset)
        say(["cmake", "--preset", preset, "-B", str(folder), "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON"], "$^")
        return _build(preset, targets)()
    return step


def _ctest(preset: str, tests: str = ".") -> Callable[[], str]:
    return lambda: say(["ctest", "--test-dir", str(paths.build_dir(preset)), "--output-on-failure", "--no-tests=error",
                        "-R", tests, "-j", str(CORES)], r"tests passed|tests failed|No tests")


def _pytest() -> str:
    return say([sys.executable, "-m", "pytest", "harness", "-q", "-n", str(CORES)], r"\d+ (passed|failed|error).* in ")


def _sockproof(words: list[str], closing: str) -> Callable[[], str]:
    return lambda: say([sys.executable, "-E", "-s", str(paths.ROOT / "harness"), *words], closing)


def _battery(target: str, *words: str) -> Callable[[], str]:
    return _sockproof(["run", target, *words], r"scenarios? in .* unexpected")


# What the reference provider has none of, by name: its sockets live in one process, and around it there is neither a window system
# nor the caller of a service provider. docs/reference-provider.md says so too.
LEFT_OUT = {"processes", "signals", "cancellation", "window_messages", "spi"}


def _reference() -> str:
    """Every profile of the reference provider: as expected, and nothing not supported but what it leaves out by design."""
    with tempfile.TemporaryDirectory() as folder:
        closing = _battery("reference", "--output", folder)()
        missing = {(each["capability"], record["name"]) for results in Path(folder).glob("*/results.jsonl")
                   for record in map(json.loads, results.read_text(encoding="utf-8").splitlines())
                   if record["record"] == "scenario" for each in record["missing"]}
    wrong = sorted(each for each in missing if each[0] not in LEFT_OUT)
    for capability, name in wrong:
        print(f"not supported: {name}: {capability}")
    if wrong:
        raise StepFailed(f"{len(wrong)} scenarios not supported, of a profile that the provider answers to")
    return closing


def _mutants() -> str:
    """Every fourth fault: a scenario that has lost its bite shows, and it takes no longer than the rest."""
    built = build.ensure("release", build.RUN_TARGETS)
    names = [fault.name for fault in mutants.faults(built, "reference:linux", "linux")][::4]
    words = [word for name in names for word in ("--fault", name)]
    return _sockproof(["mutants", "reference:linux", *words], r"faults on .* in ")()


STEPS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("format of C++", _format),
    ("flake8 and mypy", _python),
    ("build release", _build("release", build.RUN_TARGETS)),
    ("build debug (ASan, UBSan)", _build("debug", ())),
    ("build for Windows", _strict("mingw", ())),
    # What differs from 64 bits shows in the adapters.
    ("build for Windows, 32 bits", _strict("mingw-x86", ("sockproof-winsock", "sockproof-wsp", "wsp-passthrough"))),
    ("ctest", _ctest("debug")),
    # What is not the same on every system; the oracle's tests are.
    ("ctest for Windows", _ctest("mingw", "^(face|winsock-adapter)$")),
    ("pytest", _pytest),
    ("battery on linux", _battery("linux")),
    # Dual-stack sockets take the ways of the two families once more.
    ("battery on linux, debug", _battery("linux", "--filter", "*-*/dual:*/udp6", *SANITIZED)),
    ("battery on the reference provider", _reference),
    # Every night: ./sockproof traces reference, 50 seeds and 5 runs of each.
    ("traces of the reference provider", _sockproof(["traces", "reference", "--seeds", "1", "--times", "2"], r"traces differ")),
    # Much data through a network that is checked access by access takes its time, and shows nothing more.
    ("battery on the reference provider, debug",
     _battery("reference:linux", "--filter", "*-*/dual:*/udp6:Data.SixtyFour*", *SANITIZED)),
    ("kill matrix, a quarter", _mutants),
    ("past findings of the fuzzers", _sockproof(["fuzz", "--past"], r"past findings:")),
    ("clang-tidy", _tidy),
)


def run() -> bool:
    """Takes every step, whatever became of the one before, and closes with what each of them said. True when all went well."""
    taken: list[Step] = []
    for name, action in STEPS:
        print(f"== {name}", flush=True)
        start = time.monotonic()
        try:
            good, closing = True, action()
        except StepFailed as failed:
            good, closing = False, str(failed)
        taken.append(Step(name, good, time.monotonic() - start, closing))
    print("== closing lines")
    for step in taken:
        print(f"{'ok    ' if step.good else 'FAILED'} {step.seconds:6.1f} s  {step.name}: {step.closing}")
    return all(step.good for step in taken)
