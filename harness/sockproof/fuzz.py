"""Fuzzing campaigns: processes of a fuzzing engine that share a corpus, and what becomes of the findings."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sockproof import build, findings, paths

FUZZERS = ("connection", "data")
ON_ANY_PROVIDER = ("connection", "data")
PRESET = "fuzz"
TARGETS = ("fuzzers",)
LONGEST_INPUT = 512  # bytes: 64 operations
ONE_INPUT = 20  # seconds that one may take
# What a sanitizer keeps of memory that was freed, and of where it came from: less of both is much faster.
SANITIZER = ("detect_leaks=0:malloc_context_size=2:quarantine_size_mb=16:thread_local_quarantine_size_kb=256:"
             "allocator_may_return_null=1")
STATUS = re.compile(r"^#(\d+)\s+\S+\s+cov: (\d+) ft: (\d+) corp: (\d+)/\S+.*?exec/s: (\d+)")
ARTIFACTS = ("crash-", "timeout-", "oom-", "leak-", "slow-unit-")


class CampaignError(Exception):
    """A campaign cannot be begun, or gone on with."""


@dataclass
class State:
    """What a campaign has come to; stands in its folder, and is all that --resume needs beside the corpus."""

    provider: str
    profile: str
    fuzzer: str
    seconds: float = 0.0
    executions: int = 0
    restarts: int = 0
    history: list[list[float]] = field(default_factory=list)  # seconds, executions, coverage, features, corpus, findings


@dataclass
class Worker:
    """One process of the engine, and the last that it said about itself."""

    process: subprocess.Popen[str]
    log: Path
    offset: int = 0
    executions: int = 0
    coverage: int = 0
    features: int = 0
    rate: int = 0


def _die_with_parent() -> None:
    """In the child: a campaign that is killed leaves nothing behind that runs."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def environment(provider: str, profile: str, raw: Path | None) -> dict[str, str]:
    """What a fuzzer is told. Without `raw` the first finding ends it."""
    known = {**os.environ, "SOCKPROOF_FUZZ_PROVIDER": provider, "SOCKPROOF_FUZZ_PROFILE": profile,
             "ASAN_OPTIONS": SANITIZER, "UBSAN_OPTIONS": "print_stacktrace=1"}
    known.pop("SOCKPROOF_FUZZ_FINDINGS", None)
    if raw is not None:
        known["SOCKPROOF_FUZZ_FINDINGS"] = str(raw)
    return known


def seconds_of(text: str) -> float:
    """'90', '90s', '10m', '2h'."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found:
        raise CampaignError(f"'{text}' is no time: 90s, 10m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def programs() -> Path:
    """The folder of the fuzzers, built. Raises build.BuildError."""
    return build.ensure(PRESET, TARGETS).folder


class Campaign:
    """One fuzzer on one provider, in a folder of its own."""

    def __init__(self, folder: Path, provider: str, profile: str, fuzzer: str, built: Path) -> None:
        self.folder, self.built = folder, built
        self.corpus, self.raw, self.logs = folder / "corpus", folder / "raw", folder / "logs"
        self.store = findings.Store(folder / "findings", built)
        self.state = State(provider, profile, fuzzer)
        self.workers: list[Worker] = []
        self._before = 0.0
        self._executed = 0

    def begin(self, resume: bool) -> None:
        """Makes the folder, or takes up what is there. Raises CampaignError."""
        kept = self.folder / "state.json"
        if resume:
            if not kept.is_file():
                raise CampaignError(f"there is no campaign in {self.folder}")
            self.state = State(**json.loads(kept.read_text(encoding="utf-8")))
        elif self.folder.exists():
            for number in range(1, 10000):
                aside = self.folder.with_name(f"{self.folder.name}.{number}")
                if not aside.exists():
                    self.folder.rename(aside)
                    break
        for each in (self.corpus, self.raw, self.logs):
            each.mkdir(parents=True, exist_ok=True)
        for torn in self.raw.glob("*.part"):
            torn.unlink()
        self._before, self._executed = self.state.seconds, self.state.executions

    def seed(self) -> int:
        """Fills an empty corpus: seeds of the tree, and scripts by lot. How many there are."""
        if not any(self.corpus.iterdir()):
            for script in sorted((paths.ROOT / "fuzz" / "seeds").glob("*.script")):
                subprocess.run([str(self.built / "sockproof-fuzz"), "bytes", str(script), "--output",
                                str(self.corpus / script.stem)], check=True, stdin=subprocess.DEVNULL)
            if self.state.fuzzer in ON_ANY_PROVIDER:
                subprocess.run([str(self.built / "sockproof-fuzz"), "--fuzzer", self.state.fuzzer, "generate", "--output",
                                str(self.corpus), "--count", "60"], check=True, stdin=subprocess.DEVNULL)
        return sum(1 for _ in self.corpus.iterdir())

    def merge(self) -> int:
        """Keeps of the corpus what adds coverage, the smallest for each. How many are left."""
        merged = self.folder / "merged"
        shutil.rmtree(merged, ignore_errors=True)
        merged.mkdir()
        done = subprocess.run([str(self._program()), "-merge=1", f"-max_len={LONGEST_INPUT}", f"-timeout={ONE_INPUT}", str(merged),
                               str(self.corpus)], env=environment(self.state.provider, self.state.profile, self.raw),
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode == 0 and any(merged.iterdir()):
            shutil.rmtree(self.corpus)
            merged.rename(self.corpus)
        return sum(1 for _ in self.corpus.iterdir())

    def _program(self) -> Path:
        return self.built / f"fuzz-{self.state.fuzzer}"

    def _start(self, number: int, left: float) -> Worker:
        log = self.logs / f"{number}.log"
        with log.open("w", encoding="utf-8") as out:
            process = subprocess.Popen(
                [str(self._program()), f"-max_total_time={max(1, int(left))}", f"-max_len={LONGEST_INPUT}",
                 f"-timeout={ONE_INPUT}", "-rss_limit_mb=3000", "-reload=1", "-print_final_stats=1", "-use_value_profile=0",
                 f"-artifact_prefix={self.raw}/", str(self.corpus)],
                env=environment(self.state.provider, self.state.profile, self.raw), stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, text=True, preexec_fn=_die_with_parent)
        return Worker(process, log)

    @staticmethod
    def _read(worker: Worker) -> None:
        """Takes in what a worker has said since."""
        with worker.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(worker.offset)
            for line in log:
                if not line.endswith("\n"):
                    break
                worker.offset += len(line.encode("utf-8", errors="replace"))
                if found := STATUS.match(line):
                    worker.executions, worker.coverage, worker.features, _, worker.rate = (int(found[i]) for i in range(1, 6))

    def _save(self, started: float, ended: int) -> None:
        self.state.seconds = self._before + time.monotonic() - started
        self.state.executions = self._executed + ended + sum(worker.executions for worker in self.workers)
        last = self.state.history[-1][0] if self.state.history else -10.0
        if self.state.seconds - last >= 5:
            self.state.history.append([round(self.state.seconds, 1), self.state.executions,
                                       max((worker.coverage for worker in self.workers), default=0),
                                       max((worker.features for worker in self.workers), default=0),
                                       sum(1 for _ in self.corpus.iterdir()), len(self.store.all())])
        torn = self.folder / "state.json.part"
        torn.write_text(json.dumps(asdict(self.state)), encoding="utf-8")
        torn.rename(self.folder / "state.json")

    def _sift(self, most: int) -> list[findings.Finding]:
        """Looks at what the workers have put aside, a few at a time: what is new, and certain."""
        new = []
        waiting = sorted(file for file in self.raw.iterdir()
                         if file.suffix == ".script" or file.name.startswith(ARTIFACTS))
        for file in waiting[:most]:
            found = self.store.take(file, self.state.provider, self.state.profile, self.state.fuzzer)
            if found is not None:
                new.append(found)
            file.unlink(missing_ok=True)
        return new

    def run(self, seconds: float, jobs: int, say: Callable[[str], None]) -> None:
        """Fuzzes for so long; `say` gets a line now and then, and one for each finding."""
        started = time.monotonic()
        ended, told = 0, 0.0
        self.workers = [self._start(number, seconds) for number in range(jobs)]
        try:
            while True:
                left = seconds - (time.monotonic() - started)
                for number, worker in enumerate(self.workers):
                    self._read(worker)
                    if worker.process.poll() is not None and left > 1:
                        if worker.executions == 0 and worker.process.returncode == 2:
                            raise CampaignError(worker.log.read_text(encoding="utf-8", errors="replace").strip())
                        ended += worker.executions
                        self.state.restarts += 1
                        self.workers[number] = self._start(number, left)
                for found in self._sift(most=2):
                    say(f"finding {found.id}: {found.cause} ({found.steady} of {found.times} times)")
                self._save(started, ended)
                if time.monotonic() - told > 10 or left <= 0:
                    told = time.monotonic()
                    say(self.line())
                if left <= 0 or (all(worker.process.poll() is not None for worker in self.workers) and left <= 1):
                    break
                time.sleep(min(1.0, max(left, 0.05)))
        finally:
            for worker in self.workers:
                if worker.process.poll() is None:
                    worker.process.terminate()
                try:
                    worker.process.wait(timeout=ONE_INPUT)
                except subprocess.TimeoutExpired:
                    worker.process.kill()
                    worker.process.wait()
                self._read(worker)
        for found in self._sift(most=200):
            say(f"finding {found.id}: {found.cause} ({found.steady} of {found.times} times)")
        self._save(started, ended)

    def line(self) -> str:
        """The campaign in one line."""
        rate = sum(worker.rate for worker in self.workers)
        coverage = max((worker.coverage for worker in self.workers), default=0)
        features = max((worker.features for worker in self.workers), default=0)
        return (f"{self.state.seconds:6.0f} s  {self.state.executions} executions ({rate}/s)  coverage {coverage}  "
                f"features {features}  corpus {sum(1 for _ in self.corpus.iterdir())}  findings {len(self.store.all())}")


def folder_of(target: str, fuzzer: str) -> Path:
    """Where the campaign of a fuzzer on a target stands."""
    base = paths.ROOT / "out"
    if not paths.writable(base):
        base = paths.user_cache() / "sockproof" / "out"
    return base / "fuzz" / f"{re.sub('[^A-Za-z0-9_.-]+', '_', target)}-{fuzzer}"


def campaigns() -> list[Path]:
    """The folders of all campaigns."""
    return sorted(state.parent for state in folder_of("x", "y").parent.glob("*/state.json"))


def past(built: Path) -> list[str]:
    """Plays what was once found, on what it was found on; what is wrong again, a line each."""
    wrong = []
    for script in sorted((paths.ROOT / "fuzz" / "past").glob("*.script")):
        head = findings.head_of(script)
        done = findings.replay(built, script, head.get("provider", "reference:linux"), head.get("profile", "linux"),
                               head.get("fuzzer", "connection"), times=1)
        wrong += [f"{script.name}: {cause}" for cause in done.get("causes", {"no answer": 1})]
    return wrong


def write_page(campaign: Campaign) -> Path:
    """The campaign as a page with plots."""
    from reports import fuzzing
    file = campaign.folder / "campaign.html"
    details: list[dict[str, Any]] = [asdict(found) for found in campaign.store.all()]
    fuzzing.write(asdict(campaign.state), details, file)
    return file


def say_plainly(text: str) -> None:
    print(text, flush=True, file=sys.stderr)
