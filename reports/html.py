"""The HTML report: one file that needs no network and nothing beside it. What it shows is in results.jsonl."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from reports.records import VERDICTS, Check, Requirement, Results, Scenario, as_text

FAMILIES = ("inet", "inet6", "dual", "unix", "seqpacket", "udp", "udp6")
SHORT = {"passed": "pass", "failed": "FAIL", "known_deviation": "known", "unexpected_pass": "u-pass", "not_supported": "n/s",
         "observed": "seen", "crashed": "CRASH", "hung": "HUNG", "flaky": "flaky", "harness_error": "error"}
# When several things are true of a cell, the first of these is what it shows.
GRAVITY = ("harness_error", "crashed", "hung", "failed", "flaky", "unexpected_pass", "known_deviation", "passed", "observed",
           "not_supported")
TRACE_LINES_OF_A_PASS = 40


def anchor(name: str) -> str:
    """`name` as the id of an element, which may hold no white space."""
    return re.sub(r"[^\w./-]", "_", name)


@dataclass
class Run:
    """One repeat of a scenario, with what it saw."""

    record: Scenario
    checks: list[Check] = field(default_factory=list)

    @property
    def trace(self) -> list[str]:
        """All of it where something is to be found; the end of it where everything went well."""
        lines = self.record.trace
        if self.record.unexpected or self.record.verdict not in ("passed", "observed", "not_supported"):
            return lines
        return lines[-TRACE_LINES_OF_A_PASS:]


@dataclass
class Entry:
    """A scenario with all its repeats. The gravest run speaks for it."""

    name: str
    runs: list[Run] = field(default_factory=list)

    @property
    def gravest(self) -> Run:
        return min(self.runs, key=lambda run: (not run.record.unexpected, GRAVITY.index(run.record.verdict)))

    @property
    def telling(self) -> list[Run]:
        """The gravest run, and one more of every other verdict that came up."""
        first = {run.record.verdict: run for run in reversed(self.runs)}
        first.pop(self.gravest.record.verdict)
        return [self.gravest, *sorted(first.values(), key=lambda run: GRAVITY.index(run.record.verdict))]

    @property
    def counts(self) -> Counter[str]:
        return Counter(run.record.verdict for run in self.runs)


@dataclass
class Cell:
    """A requirement in one family."""

    verdict: str = ""
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Row:
    """A requirement over all families, and what was seen of it."""

    requirement: Requirement
    cells: dict[str, Cell] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    sightings: Counter[tuple[str, ...]] = field(default_factory=Counter)

    @property
    def verdicts(self) -> list[str]:
        return sorted({cell.verdict for cell in self.cells.values()}, key=GRAVITY.index)

    @property
    def never_seen(self) -> list[str]:
        return [outcome for outcome in self.requirement.allow if outcome not in self.seen]


def _entries(results: Results) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    runs: dict[tuple[str, int], Run] = {}
    for scenario in results.scenarios:
        run = runs[scenario.name, scenario.repeat] = Run(scenario)
        entries.setdefault(scenario.name, Entry(scenario.name)).runs.append(run)
    for check in results.checks:
        run_of_check = runs.get((check.scenario, check.repeat))
        if run_of_check is not None:
            run_of_check.checks.append(check)
    return entries


def _verdict_of(run: Run, requirement: str) -> str:
    """What this run says about one of its requirements."""
    verdicts = [check.verdict for check in run.checks if check.requirement == requirement]
    if "failed" in verdicts:
        return "known_deviation" if run.record.verdict == "known_deviation" else "failed"
    if not verdicts:
        return run.record.verdict
    return min(verdicts, key=GRAVITY.index)


def _rows(results: Results, entries: dict[str, Entry]) -> list[Row]:
    """Every requirement that the profile has or a scenario names."""
    rows = {key: Row(requirement) for key, requirement in results.requirements.items()}
    for entry in entries.values():
        for run in entry.runs:
            for check in run.checks:
                if check.requirement not in rows:  # results of a runner that does not record the catalogue
                    rows[check.requirement] = Row(Requirement(
                        check.requirement, area=check.area, level=check.level, allow=check.allowed, cite=check.citation))
                row = rows[check.requirement]
                row.seen[check.outcome] += 1
                row.sightings[check.scenario, check.outcome, str(check.native if check.native is not None else ""),
                              _verdict_of(run, check.requirement) if check.verdict == "failed" else check.verdict,
                              check.detail, check.where] += 1
            for requirement in run.record.requirements:
                row = rows.setdefault(requirement, Row(Requirement(requirement, area=run.record.area)))
                cell = row.cells.setdefault(run.record.family, Cell())
                verdict = _verdict_of(run, requirement)
                if not cell.verdict or GRAVITY.index(verdict) < GRAVITY.index(cell.verdict):
                    cell.verdict = verdict
                if entry not in cell.entries:
                    cell.entries.append(entry)
    return sorted(rows.values(), key=lambda row: row.requirement.id)


def _facts(results: Results) -> list[tuple[str, str]]:
    """The run record, flattened to name and value; the long lists go last."""
    facts: list[tuple[str, str]] = []

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else str(key), inner)
        elif isinstance(value, list):
            facts.append((prefix, " ".join(map(str, value))))
        elif value is not None and value != "":
            facts.append((prefix, str(value)))

    for key, value in results.run.items():
        if key != "record":
            walk(key, value)
    return facts


def _grouped(rows: list[Row]) -> dict[str, list[Row]]:
    areas: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        areas[row.requirement.area or row.requirement.id.split(".")[0]].append(row)
    return dict(sorted(areas.items()))


def _families(results: Results) -> list[str]:
    there = {scenario.family for scenario in results.scenarios}
    return [family for family in FAMILIES if family in there] + sorted(there.difference(FAMILIES))


def render(results: Results) -> str:
    """The report as one HTML text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(text=as_text, anchor=anchor)
    entries = _entries(results)
    rows = _rows(results, entries)
    areas: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries.values():
        areas[entry.runs[0].record.area].append(entry)
    wide = sorted((row for row in rows if len(row.requirement.allow) > 1),
                  key=lambda row: (-len(row.requirement.allow), row.requirement.id))
    return environment.get_template("report.html.j2").render(
        results=results,
        texts={key: requirement.text for key, requirement in results.requirements.items()},
        run=results.run,
        summary=results.summary or {},
        facts=_facts(results),
        verdicts=[(verdict, count) for verdict in VERDICTS if (count := results.verdicts()[verdict])],
        short=SHORT,
        families=_families(results),
        rows_by_area=_grouped(rows),
        entries_by_area=dict(sorted(areas.items())),
        unexpected=[entry for entry in entries.values() if entry.gravest.record.unexpected],
        not_supported=[entry for entry in entries.values() if entry.gravest.record.verdict == "not_supported"],
        without_scenario=[row for row in rows if not row.cells],
        wide=wide,
        trace_lines=TRACE_LINES_OF_A_PASS,
    )


def write(results: Results, file: Path) -> None:
    file.write_text(render(results), encoding="utf-8")
