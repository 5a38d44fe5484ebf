"""Calls sockproof-runner, and hands on its records as they come."""

import hashlib
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO

from reports.records import Json, parse
from sockproof.build import Build
from sockproof.targets import Target

EMULATED_FOR_EACH_JOB = 8  # processes, waiting ones included
AS_EXPECTED, UNEXPECTED, HARNESS_FAILED, NOTHING_RAN = range(4)  # the runner's exit codes, and ours


@dataclass
class Options:
    """What a run is asked for; None or empty leaves it to the runner."""

    filter: str | None = None
    jobs: int | None = None
    repeat: int | None = None
    seed: int | None = None
    output: Path | None = None
    resume: Path | None = None
    launcher: str | None = None
    isolation: str | None = None
    timeout_scale: float | None = None
    strict: bool = False
    fault: str | None = None
    faults: Path | None = None  # a file that names many, each to be tried by itself
    stop_at_first: bool = False
    no_stacks: bool = False
    protocol_id: int | None = None  # of target winsock: an entry of Windows' catalogue of protocols
    provider_guid: str | None = None

    def arguments(self) -> list[str]:
        words: list[str] = []
        for name, value in vars(self).items():
            option = "--" + name.replace("_", "-")
            if isinstance(value, bool):
                words += [option] if value else []
            elif value is not None:
                words += [option, str(value)]
        return words


@lru_cache
def _digest_of(battery: Path) -> str:
    """Python's library uses what the processor has for it; the runner's own code takes a tenth of a second."""
    return hashlib.sha256(battery.read_bytes()).hexdigest()


@dataclass
class Run:
    """A runner at work. Iterate over `records()`, then ask for `code`."""

    build: Build
    target: Target | None  # None: the run that is resumed knows
    options: Options
    on_stderr: Callable[[str], None] = field(default=lambda line: print(line, file=sys.stderr))
    live: bool = True  # False: the records are read from the output folder when the run is over, at no cost while it lasts
    code: int = HARNESS_FAILED
    interrupted: bool = False

    def command(self) -> list[str]:
        around: list[str] = []
        target: list[str] = []
        if self.target is not None:
            target = self.target.runner_arguments()
            if self.target.isolation is not None and self.options.isolation is None:
                target += ["--isolation", self.target.isolation]
            if self.target.launcher_mode == "run":  # once, around the whole run: the runner does not see it
                around = shlex.split(self.target.launcher)
        if self.build.emulator:
            target += ["--emulator", self.build.emulator]
            # What waits for its emulator's server looks as if it waited by design; more would only stand in each other's way.
            target += ["--max-processes", str(EMULATED_FOR_EACH_JOB * (self.options.jobs or len(os.sched_getaffinity(0))))]
        stream = ["--stream" if self.options.output or self.options.resume else "--stream-only"] if self.live else []
        return [*around, str(self.build.runner), "--battery", str(self.build.battery), "--battery-digest",
                _digest_of(self.build.battery), *target, *self.options.arguments(), *stream]

    def records(self) -> Iterator[Json]:
        """The records as they come. Sets `code` at the end; a runner that dies is a harness that failed."""
        with subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, errors="replace") as process:
            assert process.stdout is not None and process.stderr is not None
            reader = threading.Thread(target=self._forward, args=(process.stderr,), daemon=True)
            reader.start()
            try:
                yield from self._parse(process.stdout)
            except KeyboardInterrupt:
                # A terminal sends the interrupt to the runner too; one that came to us alone is handed on.
                process.terminate()
                self.interrupted = True
                for _ in process.stdout:  # it still has its summary to write
                    pass
            except BaseException:
                process.terminate()
                raise
            process.stdout.close()
            process.wait()
            reader.join()
        if self.interrupted:
            return
        if process.returncode in (AS_EXPECTED, UNEXPECTED, HARNESS_FAILED, NOTHING_RAN):
            self.code = process.returncode
        else:
            self.on_stderr(f"sockproof: the runner ended with {process.returncode}: {' '.join(self.command())}")

    def _parse(self, stdout: IO[str]) -> Iterator[Json]:
        if self.live:
            yield from parse(stdout)
            return
        for _ in stdout:  # its closing lines: the records say the same
            pass
        if self.options.output is not None:
            # A runner that could not begin has left none; its exit code says so.
            with suppress(FileNotFoundError), (self.options.output / "results.jsonl").open() as results:
                yield from parse(results)

    def _forward(self, stream: Iterator[str]) -> None:
        with suppress(ValueError):  # closed under our hands, when whoever reads us has gone away
            for line in stream:
                self.on_stderr(line.rstrip("\n"))


def listing(build: Build, what: str, provider: str, profile: str) -> list[Json]:
    """The battery's own list of `what`: scenarios or requirements. Raises subprocess.CalledProcessError."""
    emulator = shlex.split(build.for_job(0).emulator)
    done = subprocess.run([*emulator, str(build.battery), f"--provider={provider}", f"--profile={profile}", f"--list={what}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True)
    entries: list[Json] = json.loads(done.stdout)
    return entries
