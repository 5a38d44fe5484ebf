"""The kill matrix: which scenarios notice which seeded fault.

A fault is killed by a scenario that declares a requirement which the fault breaks, and ends unexpectedly with the fault in the
provider. Anything else that fails is told, and kills nothing."""

import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from reports.records import Json, Results

from sockproof import runner, targets
from sockproof.build import Build
from sockproof.targets import Target


ORDER = ["survived", "harness_error", "not_supported", "killed"]  # what wants to be looked at first


@dataclass(frozen=True)
class Fault:
    """A seeded fault, as the battery lists it."""

    name: str
    text: str
    requirements: tuple[str, ...]
    profiles: tuple[str, ...]
    model: str


@dataclass
class Row:
    """What became of one fault on one target."""

    fault: Fault
    killers: list[str] = field(default_factory=list)  # scenarios that declare what it breaks, and noticed
    others: list[str] = field(default_factory=list)  # scenarios that noticed as well
    missing: list[str] = field(default_factory=list)  # scenarios that would have, but need what the target does not have
    broken: set[str] = field(default_factory=set)  # requirements of which a check failed
    harness_failed: bool = False

    @property
    def verdict(self) -> str:
        if self.harness_failed:
            return "harness_error"
        if self.killers:
            return "killed"
        return "survived" if self.others or not self.missing else "not_supported"


def faults(build: Build, provider: str, profile: str) -> list[Fault]:
    """Every fault that applies to the profile (its ancestors' too), by name."""
    lineage = targets.lineage(profile)
    listed = [Fault(entry["name"], entry["text"], tuple(entry["requirements"]), tuple(entry["profiles"]), entry["model"])
              for entry in runner.listing(build, "faults", provider, profile)]
    return [fault for fault in listed if set(fault.profiles) & set(lineage)]


def about(fault: Fault, scenarios: Iterable[Json]) -> list[str]:
    """The scenarios that declare what the fault breaks."""
    return [entry["name"] for entry in scenarios if set(entry["requirements"]) & set(fault.requirements)]


def _run(build: Build, target: Target, options: runner.Options, say: Callable[[str], None]) -> tuple[Results, int]:
    results = Results()
    job = runner.Run(build, target, options, on_stderr=say)
    for record in job.records():
        results.add(record)
    return results, job.code


def _broken(results: Results) -> set[str]:
    return {check.requirement for check in results.checks if check.verdict == "failed"}


def unbroken(build: Build, target: Target, rows: Iterable[Row]) -> list[Json]:
    """The MUST requirements that none of the faults broke, and that have a scenario."""
    broken = {requirement for row in rows for requirement in row.broken}
    return [entry for entry in runner.listing(build, "requirements", target.provider, target.profile)
            if entry["level"] == "MUST" and entry["id"] not in broken and not entry["needs"]]


def _try(build: Build, target: Target, fault: Fault, scenarios: list[Json], full: bool, digest: str) -> Row:
    row = Row(fault)
    names = about(fault, scenarios)
    said: list[str] = []
    if names:
        options = runner.Options(filter=":".join(names), fault=fault.name, jobs=1, stop_at_first=not full, battery_digest=digest)
        results, code = _run(build, target, options, said.append)
        row.harness_failed = code == runner.HARNESS_FAILED and not any(each.unexpected for each in results.scenarios)
        row.broken |= _broken(results)
        row.killers = sorted({each.name for each in results.scenarios if each.unexpected})
        row.missing = sorted({each.name for each in results.scenarios if each.verdict == "not_supported"})
    if full or not row.killers:
        rest = [entry["name"] for entry in scenarios if entry["name"] not in set(names)]
        options = runner.Options(filter=":".join(rest), fault=fault.name, jobs=1, stop_at_first=not full, battery_digest=digest)
        if rest and (full or not row.missing):
            results, _ = _run(build, target, options, said.append)
            row.broken |= _broken(results)
            row.others = sorted({each.name for each in results.scenarios if each.unexpected})
    return row


def matrix(build: Build, target: Target, chosen: list[Fault], jobs: int | None, full: bool,
           done: Callable[[Row], None]) -> list[Row]:
    """Tries each fault on the target; calls `done` (from any thread, one at a time) as each is settled."""
    scenarios = runner.listing(build, "scenarios", target.provider, target.profile)
    digest = hashlib.sha256(build.battery.read_bytes()).hexdigest()
    lock = threading.Lock()

    places = itertools.count()

    def one(fault: Fault) -> Row:
        row = _try(build.for_job(next(places) % (jobs or len(os.sched_getaffinity(0)))), target, fault, scenarios, full, digest)
        with lock:
            done(row)
        return row

    with ThreadPoolExecutor(max_workers=jobs or os.cpu_count() or 2) as pool:
        return list(pool.map(one, chosen))


def as_json(row: Row) -> Json:
    """One row of the matrix."""
    return {"fault": row.fault.name, "text": row.fault.text, "requirements": list(row.fault.requirements), "model": row.fault.model,
            "verdict": row.verdict, "killers": row.killers, "others": row.others, "missing": row.missing,
            "broken": sorted(row.broken)}
