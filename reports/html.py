"""The HTML report: one file that needs no network and nothing beside it. What it shows is in results.jsonl."""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from reports.junit import step_sentence
from reports.records import GRAVITY, VERDICTS, Entry, Requirement, Results, Run, by_area, count

FAMILIES = ("inet", "inet6", "dual", "unix", "seqpacket", "udp", "udp6", "unix_datagram")
SHORT = {"passed": "pass", "failed": "FAIL", "known_deviation": "known", "unexpected_pass": "u-pass", "not_supported": "n/s",
         "observed": "seen", "crashed": "CRASH", "hung": "HUNG", "flaky": "flaky", "harness_error": "error"}
TRACE_LINES_OF_A_PASS = 40


def anchor(name: str) -> str:
    """`name` as the id of an element, which may hold no white space."""
    return re.sub(r"[^\w./-]", "_", name)


def shown_trace(run: Run) -> list[str]:
    """All of it where something is to be found; the end of it where everything went well."""
    record = run.record
    short = not record.unexpected and record.verdict in ("passed", "observed", "not_supported")
    return record.trace[-TRACE_LINES_OF_A_PASS:] if short else record.trace


def lines(texts: list[str]) -> Markup:
    """Lines of text, escaped together: most of a report is these."""
    return escape("\n".join(texts))


def telling(entry: Entry) -> list[Run]:
    """The gravest run, and one more of every other verdict that came up."""
    first = {run.record.verdict: run for run in reversed(entry.runs)}
    first.pop(entry.gravest.record.verdict)
    return [entry.gravest, *sorted(first.values(), key=lambda run: GRAVITY.index(run.record.verdict))]


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
    sightings: Counter[tuple[str, ...]] = field(default_factory=Counter)  # scenario, outcome, native, verdict, where
    details: dict[tuple[str, ...], str] = field(default_factory=dict)  # of the first sighting of each

    @property
    def verdicts(self) -> list[str]:
        return sorted({cell.verdict for cell in self.cells.values()}, key=GRAVITY.index)

    @property
    def never_seen(self) -> list[str]:
        return [outcome for outcome in self.requirement.allow if outcome not in self.seen]


def _verdict_of(run: Run, requirement: str) -> str:
    """What this run says about one of its requirements."""
    verdicts = [check.verdict for check in run.checks if check.requirement == requirement]
    return min(verdicts, key=GRAVITY.index) if verdicts else run.record.verdict


def _rows(results: Results, entries: list[Entry]) -> list[Row]:
    """Every requirement that the profile has or a scenario names."""
    rows = {key: Row(requirement) for key, requirement in results.requirements.items()}
    for entry in entries:
        for run in entry.runs:
            for check in run.checks:
                if check.requirement not in rows:  # results of a runner that does not record the catalogue
                    rows[check.requirement] = Row(Requirement(
                        check.requirement, area=check.area, level=check.level, allow=check.allowed, cite=check.citation))
                row = rows[check.requirement]
                row.seen[check.outcome] += 1
                native = "" if check.native is None else str(check.native)
                sighting = (check.scenario, check.outcome, native, check.verdict, check.where)
                row.sightings[sighting] += 1
                row.details.setdefault(sighting, check.detail)
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


def families_of(rows: list[Row]) -> list[str]:
    """The families that these requirements were looked at in."""
    there = {family for row in rows for family in row.cells}
    return [family for family in FAMILIES if family in there] + sorted(there.difference(FAMILIES))


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(anchor=anchor, families_of=families_of, shown_trace=shown_trace, telling=telling,
                               step_sentence=step_sentence, lines=lines)
    return environment.get_template("report.html.j2")


def render(results: Results) -> str:
    """The report as one HTML text."""
    entries = results.entries()
    rows = _rows(results, entries)
    grouped = _grouped(rows)
    touched = {area: rows for area, rows in grouped.items() if any(row.cells for row in rows)}
    wide = sorted((row for row in rows if len(row.requirement.allow) > 1 and row.cells),
                  key=lambda row: (-len(row.requirement.allow), row.requirement.id))
    return _template().render(
        results=results,
        texts={key: requirement.text for key, requirement in results.requirements.items()},
        run=results.run,
        summary=results.summary or {},
        facts=_facts(results),
        verdicts=[(verdict, count(entries)[verdict]) for verdict in VERDICTS if count(entries)[verdict]],
        short=SHORT,
        rows_by_area=touched,
        untouched={area: len(rows) for area, rows in grouped.items() if area not in touched},
        entries=entries,
        entries_by_area=by_area(entries),
        unexpected=[entry for entry in entries if entry.unexpected],
        not_supported=[entry for entry in entries if entry.verdict == "not_supported"],
        without_scenario=[row for rows in touched.values() for row in rows if not row.cells],
        wide=wide,
        trace_lines=TRACE_LINES_OF_A_PASS,
    )


def write(results: Results, file: Path) -> None:
    file.write_text(render(results), encoding="utf-8")
