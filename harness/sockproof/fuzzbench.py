"""What the fuzzers are worth: how fast they are, how steady, and how soon they find what is known to be wrong."""

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from sockproof import build, findings, fuzz, mutants

# The faults that are about connections and about data, by where their requirements stand.
AREAS = ("accept", "backlog", "bind", "close", "closing", "connect", "data", "deferred", "listen", "message", "progress", "refused",
         "shutdown")
CAUSE = re.compile(r"ERROR: sockproof: (.+)")


def _tool(folder: Path, provider: str, profile: str, *words: str) -> int:
    sys.stdout.flush()
    return subprocess.run([str(folder / "sockproof-fuzz"), "--provider", provider, "--profile", profile, *words],
                          stdin=subprocess.DEVNULL, check=False, env={**os.environ, "ASAN_OPTIONS": fuzz.SANITIZER}).returncode


def speed(built: Path, provider: str, profile: str, seconds: float) -> int:
    """Prints how fast scripts are run, as they are fuzzed and without sanitizers."""
    print("with AddressSanitizer and UndefinedBehaviorSanitizer:")
    with_sanitizers = _tool(built, provider, profile, "speed", "--seconds", str(seconds / 2))
    print("without:")
    plain = build.ensure("release", ("sockproof-fuzz",)).folder
    return max(with_sanitizers, _tool(plain, provider, profile, "speed", "--seconds", str(seconds / 2)))


def sameness(built: Path, provider: str, profile: str, corpus: Path) -> int:
    """Runs up to 1,000 inputs of the corpus 20 times each and prints what differs."""
    if not corpus.is_dir() or not any(corpus.iterdir()):
        print(f"sockproof: there is no corpus in {corpus}; a campaign makes one", file=sys.stderr)
        return 2
    plain = build.ensure("release", ("sockproof-fuzz",)).folder
    return _tool(plain, provider, profile, "sameness", str(corpus), "--times", "20", "--most", "1000")


@dataclass
class Hunted:
    """One fault: how long it took to find, None where it was not, and by what it showed."""

    name: str
    seconds: float | None
    cause: str


def hunt(built: Path, fault: str, provider: str, profile: str, seconds: float, fuzzer: str, seed: int = 1) -> Hunted:
    """Lets a fuzzer look for one fault, from nothing but the grammar and the seeds of the tree."""
    with tempfile.TemporaryDirectory(prefix="sockproof-hunt") as name:
        folder = Path(name)
        campaign = fuzz.Campaign(folder / "campaign", provider, profile, fuzzer, built)
        campaign.begin(resume=False)
        campaign.seed()
        begin = time.monotonic()
        done = subprocess.run(
            [str(built / f"fuzz-{fuzzer}"), f"-max_total_time={max(1, int(seconds))}", f"-max_len={fuzz.LONGEST_INPUT}",
             f"-timeout={fuzz.ONE_INPUT}", f"-seed={seed}", f"-artifact_prefix={folder}/", str(campaign.corpus)],
            env=fuzz.environment(f"faulty:{fault}:{provider}", profile, None), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, errors="replace", check=False)
        took = time.monotonic() - begin
    if done.returncode == 0:
        return Hunted(fault, None, "")
    said = CAUSE.search(done.stderr)
    return Hunted(fault, took, said[1] if said else findings.crash_of(done.stderr) or f"exit {done.returncode}")


def strength(built: Path, provider: str, profile: str, count: int, seconds: float, fuzzer: str) -> int:
    """Prints, fault by fault, how soon it is found. `count` of them, evenly over all that apply."""
    release = build.ensure("release", build.RUN_TARGETS)
    faults = [fault for fault in mutants.faults(release, provider, profile)
              if any(requirement.split(".")[0] in AREAS for requirement in fault.requirements)]
    chosen = faults[::max(1, len(faults) // count)][:count]
    print(f"{len(chosen)} of {len(faults)} faults of connections and data, on {provider}; at most {seconds:.0f} s each", flush=True)
    hunted = []
    for fault in chosen:
        one = hunt(built, fault.name, provider, profile, seconds, fuzzer)
        hunted.append(one)
        took = f"{one.seconds:7.1f} s" if one.seconds is not None else "    not  "
        print(f"{took}  {one.name:40} {one.cause}", flush=True)
    times = sorted(one.seconds for one in hunted if one.seconds is not None)
    median = f"{times[len(times) // 2]:.1f} s" if times else "none"
    print(f"found: {len(times)} of {len(hunted)} ({100 * len(times) // max(len(hunted), 1)} %), median {median}")
    return 0
