"""Builds what a run needs, once for all who ask at the same time."""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sockproof import paths, wine

STAMP = ".sockproof-built"  # as old as the start of the last build of RUN_TARGETS that went well
RUN_TARGETS = ("sockproof-battery", "sockproof-runner")
WINDOWS_PRESET = "mingw"
WINDOWS_TARGETS = ("windows-programs",)  # the battery, and the service providers beside it


class BuildError(Exception):
    """The build failed; its text is what the tools said."""


@dataclass(frozen=True)
class Build:
    """The programs of one build folder. With `windows`, another build folder, the battery is the Windows program there, and
    `emulator` is the command that runs it; `{job}` in it stands for the number of one of the jobs."""

    folder: Path
    windows: Path | None = None
    emulator: str = ""

    @property
    def battery(self) -> Path:
        return self.windows / "sockproof-battery.exe" if self.windows is not None else self.folder / "sockproof-battery"

    def for_job(self, job: int) -> "Build":
        """The same, with all that it runs in the surroundings of one job."""
        return replace(self, emulator=self.emulator.replace("{job}", str(job)))

    @property
    def runner(self) -> Path:
        return self.folder / "sockproof-runner"

    def ready(self) -> bool:
        return os.access(self.battery, os.X_OK) and os.access(self.runner, os.X_OK)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Two runs side by side from one checkout: the second waits for the first one's build."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".sockproof-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _call(command: list[str]) -> None:
    """Runs a tool of the build; what it says is shown only when it fails."""
    environment = dict(os.environ)
    if "CCACHE_DIR" not in environment and not paths.writable(paths.user_cache()):
        environment["CCACHE_DISABLE"] = "1"  # it would fail for want of a place
    done = subprocess.run(command, env=environment, cwd=paths.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)}\n{done.stdout}")


def _sources() -> Iterator[Path]:
    """What RUN_TARGETS are made of."""
    yield paths.ROOT / "CMakeLists.txt"
    yield paths.ROOT / "CMakePresets.json"
    for folder in ("providers", "conformance", "harness/runner"):
        yield from (file for file in (paths.ROOT / folder).rglob("*") if file.suffix in (".cpp", ".h", ".c", ".toml", ".txt"))


def _current(folder: Path) -> bool:
    """Whether `folder`, which need not be ours to write to, holds RUN_TARGETS of the sources as they are now."""
    try:
        built = (folder / STAMP).stat().st_mtime
        return Build(folder).ready() and all(source.stat().st_mtime <= built for source in _sources())
    except OSError:
        return False


def _configured(folder: Path) -> bool:
    """Whether `folder` was configured, with the presets as they are now."""
    try:
        return (folder / "build.ninja").stat().st_mtime >= (paths.ROOT / "CMakePresets.json").stat().st_mtime
    except FileNotFoundError:
        return False


def ensure(preset: str = "release", targets: tuple[str, ...] = RUN_TARGETS) -> Build:
    """Configures where that was not done yet, and builds `targets` (none: everything) of `preset`. Raises BuildError."""
    folder = paths.build_dir(preset)
    build = Build(folder)
    somebody_elses = paths.ROOT / "build" / preset
    try:
        if folder != somebody_elses and "SOCKPROOF_BUILD" not in os.environ and _current(somebody_elses):
            return Build(somebody_elses)
        with _locked(folder):
            start = time.time()
            if not _configured(folder):
                print(f"sockproof: building into {folder}", file=sys.stderr, flush=True)
                _call(["cmake", "--preset", preset, "-B", str(folder)])
            _call(["cmake", "--build", str(folder)] + [word for target in targets for word in ("--target", target)])
            if targets in (RUN_TARGETS, ()):
                (folder / STAMP).touch()
                os.utime(folder / STAMP, (start, start))
    except FileNotFoundError as missing:
        raise BuildError(f"{missing.filename} is not installed: ci/setup run installs it") from missing
    return build


@contextmanager
def prepared(for_windows: bool, preset: str = "release", jobs: int | None = None) -> Iterator[Build]:
    """What a run needs, built, and whatever has to run beside it. Raises BuildError."""
    if not for_windows:
        yield ensure(preset)
        return
    if preset != "release":
        raise BuildError(f"preset {preset} is for this machine's own programs; those for Windows have {WINDOWS_PRESET}")
    built = ensure("release", ("sockproof-runner",))
    windows = ensure(WINDOWS_PRESET, WINDOWS_TARGETS).folder
    try:
        with wine.running(jobs or len(os.sched_getaffinity(0))) as emulator:
            yield replace(built, windows=windows, emulator=emulator)
    except wine.WineMissing as missing:
        raise BuildError(str(missing)) from missing
