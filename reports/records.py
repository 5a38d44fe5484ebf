"""The records of results.jsonl, typed. reports/schema/results.schema.json says what each field means."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

VERDICTS = ("passed", "failed", "known_deviation", "unexpected_pass", "not_supported", "observed", "crashed", "hung", "flaky",
            "harness_error")

Json = dict[str, Any]
R = TypeVar("R")


def _typed(kind: type[R], record: Json) -> R:
    """The fields of `kind` out of `record`; what a later schema adds is left aside."""
    known = {each.name for each in fields(kind)}
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
    stacks: str | list[str] = ""
    stacks_missing: str = ""
    trace: list[str] = field(default_factory=list)
    output_tail: str | list[str] = ""
    replay: str = ""


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

    def checks_of(self, scenario: Scenario) -> list[Check]:
        return [check for check in self.checks if (check.scenario, check.repeat) == (scenario.name, scenario.repeat)]

    def unexpected(self) -> list[Scenario]:
        return [scenario for scenario in self.scenarios if scenario.unexpected]

    def by_area(self) -> dict[str, Counter[str]]:
        """Verdicts counted, area by area in the order of their names."""
        areas: dict[str, Counter[str]] = {}
        for scenario in self.scenarios:
            areas.setdefault(scenario.area, Counter())[scenario.verdict] += 1
        return dict(sorted(areas.items()))

    def verdicts(self) -> Counter[str]:
        return Counter(scenario.verdict for scenario in self.scenarios)


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


def as_text(value: str | list[str]) -> str:
    """A field that is text or lines, as text."""
    return value if isinstance(value, str) else "\n".join(value)
