"""The records of results.jsonl, typed. reports/schema/results.schema.json says what each field means."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

VERDICTS = ("passed", "failed", "known_deviation", "unexpected_pass", "not_supported", "observed", "crashed", "hung", "flaky",
            "harness_error")

# When several things are true, the first of these is what counts.
GRAVITY = ("harness_error", "crashed", "hung", "failed", "flaky", "unexpected_pass", "known_deviation", "passed", "observed",
           "not_supported")

Json = dict[str, Any]
R = TypeVar("R")


_FIELDS: dict[type[Any], frozenset[str]] = {}


def _typed(kind: type[R], record: Json) -> R:
    """The fields of `kind` out of `record`; what a later schema adds is left aside."""
    known = _FIELDS.get(kind)
    if known is None:
        known = _FIELDS[kind] = frozenset(each.name for each in fields(kind))
    return kind(**{key: value for key, value in record.items() if key in known and value is not None})


@dataclass(frozen=True)
class Requirement:
    """A requirement of the catalogue, as the profile of the run has it."""

    id: str
    area: str = ""
    text: str = ""
    level: str = ""
    entry_of: str = ""
    needs: list[str] = field(default_factory=list)
    allow: list[str] = field(default_factory=list)
    cite: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Check:
    """One look at one requirement by one scenario."""

    requirement: str
    outcome: str
    verdict: str
    scenario: str = ""
    family: str = ""
    area: str = ""
    repeat: int = 0
    native: str | int | None = None
    allowed: list[str] = field(default_factory=list)
    level: str = ""
    citation: list[str] = field(default_factory=list)
    where: str = ""
    detail: str = ""
    deviation: Json | None = None


@dataclass(frozen=True)
class Scenario:
    """One scenario's verdict. Times in milliseconds, memory in KiB."""

    name: str
    verdict: str
    unexpected: bool = False
    area: str = ""
    family: str = ""
    repeat: int = 0
    reason: str = ""
    level: str = ""
    requirements: list[str] = field(default_factory=list)
    duration_ms: float = 0.0
    cpu_ms: float = 0.0
    max_rss_kib: int = 0
    exit: Any = None
    limit: str = ""
    stacks: list[str] = field(default_factory=list)
    stacks_missing: str = ""
    steps: list[Json] = field(default_factory=list)
    oracle: Json | None = None
    trace: list[str] = field(default_factory=list)
    trace_dropped: int = 0
    trace_digest: str = ""
    output_tail: str = ""
    replay: str = ""


@dataclass
class Run:
    """One run of a scenario, with what it saw."""

    record: Scenario
    checks: list[Check] = field(default_factory=list)


@dataclass
class Entry:
    """A scenario with all its runs, of which there are several with --repeat. They are all there before it is asked anything."""

    name: str
    runs: list[Run] = field(default_factory=list)

    @cached_property
    def gravest(self) -> Run:
        """The run that speaks for all: the first of the gravest verdict."""
        return min(self.runs, key=lambda run: (not run.record.unexpected, GRAVITY.index(run.record.verdict)))

    @cached_property
    def counts(self) -> Counter[str]:
        return Counter(run.record.verdict for run in self.runs)

    @cached_property
    def verdict(self) -> str:
        """What all runs agree on, or that they do not."""
        return "flaky" if len(self.counts) > 1 else self.runs[0].record.verdict

    @property
    def unexpected(self) -> bool:
        return self.verdict == "flaky" or any(run.record.unexpected for run in self.runs)

    @property
    def reason(self) -> str:
        reason = self.gravest.record.reason
        if self.verdict != "flaky":
            return reason
        return ", ".join(f"{number} {verdict}" for verdict, number in self.counts.most_common()) + (f": {reason}" if reason else "")


@dataclass
class Judged:
    """What the oracle made of the traces of a run."""

    calls: int = 0
    judged: int = 0
    unknown: int = 0
    rules: int = 0  # that say something about the profile
    fired: Counter[str] = field(default_factory=Counter)


@dataclass
class Results:
    """Everything that a run left, in the order in which it came. An interrupted run has no summary."""

    run: Json = field(default_factory=dict)
    requirements: dict[str, Requirement] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    scenarios: list[Scenario] = field(default_factory=list)
    summary: Json | None = None

    def add(self, record: Json) -> Check | Scenario | None:
        """Takes a record in, and gives it back typed where it is a check or a scenario."""
        kind = record.get("record")
        if kind == "check":
            self.checks.append(_typed(Check, record))
            return self.checks[-1]
        if kind == "scenario":
            self.scenarios.append(_typed(Scenario, record))
            return self.scenarios[-1]
        if kind == "run":
            self.run = record
        elif kind == "requirement":
            self.requirements[record["id"]] = _typed(Requirement, record)
        elif kind == "summary":
            self.summary = record
        return None

    @property
    def oracle(self) -> Judged:
        """Over all scenarios."""
        total = Judged()
        for said in (scenario.oracle for scenario in self.scenarios):
            if said:
                total.calls += said["calls"]
                total.judged += said["judged"]
                total.unknown += said["unknown"]
                total.rules = max(total.rules, said["rules"])
                total.fired.update(said["fired"])
        return total

    @property
    def target(self) -> str:
        """The target's name."""
        return str(self.run.get("target", {}).get("name", ""))

    def entries(self) -> list[Entry]:
        """Each scenario with all its runs, in the order of their names."""
        entries: dict[str, Entry] = {}
        runs: dict[tuple[str, int], Run] = {}
        for scenario in self.scenarios:
            run = runs[scenario.name, scenario.repeat] = Run(scenario)
            entries.setdefault(scenario.name, Entry(scenario.name)).runs.append(run)
        for check in self.checks:
            if (check.scenario, check.repeat) in runs:
                runs[check.scenario, check.repeat].checks.append(check)
        return sorted(entries.values(), key=lambda entry: entry.name)


def by_area(entries: list[Entry]) -> dict[str, list[Entry]]:
    """The entries, area by area in the order of their names."""
    areas: dict[str, list[Entry]] = {}
    for entry in entries:
        areas.setdefault(entry.runs[0].record.area, []).append(entry)
    return dict(sorted(areas.items()))


def count(entries: list[Entry]) -> Counter[str]:
    """How many scenarios have which verdict."""
    return Counter(entry.verdict for entry in entries)


def parse(lines: Iterable[str]) -> Iterator[Json]:
    """The records of JSON lines. A last line that was cut off, as by a kill, is left out; one in the middle is an error."""
    cut: str | None = None
    for line in lines:
        if cut is not None:
            raise ValueError(f"not a record: {cut.strip()[:200]}")
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            cut = line
            continue
        yield record


def load(path: Path) -> Results:
    """The results in `path`: results.jsonl, or a folder that holds one. Raises OSError or ValueError."""
    if path.is_dir():
        path = path / "results.jsonl"
    results = Results()
    with path.open(encoding="utf-8", errors="replace") as lines:
        for record in parse(lines):
            results.add(record)
    return results
