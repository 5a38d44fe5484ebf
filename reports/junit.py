"""JUnit XML out of results: a test case a scenario, with stable names, requirement ids as properties, and errors apart from
failures."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

from reports.records import Check, Entry, Json, Results, Run

ERRORS = ("harness_error",)  # of the harness; whatever else is unexpected is a failure of the implementation
NOT_RIGHT = ("failed", "known_deviation", "unexpected_pass")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """`text` without what XML 1.0 cannot hold, shown as escapes instead."""
    return _NOT_XML.sub(lambda found: f"\\x{ord(found.group()):02x}", text)


def sentence(check: Check) -> str:
    """A check as one line: what was seen, what was allowed, and who says so."""
    native = f" ({check.native})" if check.native is not None else ""
    cited = f" [{'; '.join(check.citation)}]" if check.citation else ""
    detail = f": {check.detail}" if check.detail else ""
    known = f"; known: {check.deviation['reason']} ({check.deviation['evidence']})" if check.deviation else ""
    allowed = " or ".join(check.allowed) or "anything"
    return f"{check.requirement} {check.level}: saw {check.outcome}{native}, allowed {allowed}{cited}{detail}{known}"


def step_sentence(step: Json) -> str:
    """A step that the scenario stands on, and that failed, as one line."""
    what = step.get("detail") or f"{step.get('call')} gave {step.get('outcome')}"
    return f"{what} ({step.get('where')})"


def explain(run: Run) -> str:
    """Everything somebody needs who looks at a scenario that did not simply pass."""
    record = run.record
    parts = [sentence(check) for check in run.checks if check.verdict in NOT_RIGHT]
    parts += [f"a step failed: {step_sentence(step)}" for step in record.steps]
    parts += [record.reason] if record.reason else []
    parts += [f"replay: {record.replay}"] if record.replay else []
    parts += ["stacks:", *record.stacks] if record.stacks else []
    parts += [f"no stacks: {record.stacks_missing}"] if record.stacks_missing else []
    parts += ["trace:", *record.trace] if record.trace else []
    parts += ["output:", record.output_tail] if record.output_tail else []
    return clean("\n".join(parts))


def counts_as(entry: Entry) -> str:
    """What JUnit calls this scenario: passed, skipped, failure or error. A crash or a hang is a failure: of the implementation.

    A deviation that is known, and a SHOULD that failed without --strict, is no failure: it is 'skipped' with its reason."""
    if entry.unexpected:
        return "error" if entry.verdict in ERRORS else "failure"
    return "passed" if entry.verdict in ("passed", "observed") else "skipped"


def message(entry: Entry) -> str:
    """The first thing to know, on one line."""
    wrong = [sentence(check) for check in entry.gravest.checks if check.verdict in NOT_RIGHT]
    first = entry.reason or (wrong[0] if wrong else "")
    return clean(f"{entry.verdict}: {first}".replace("\n", " ").rstrip(": "))


def _case(entry: Entry) -> ET.Element:
    record = entry.gravest.record
    seconds = sum(run.record.duration_ms for run in entry.runs) / 1000
    case = ET.Element("testcase", classname=f"sockproof.{record.area}", name=clean(entry.name), time=f"{seconds:.3f}")
    properties = ET.SubElement(case, "properties")
    for requirement in record.requirements:
        ET.SubElement(properties, "property", name="requirement", value=clean(requirement))
    ET.SubElement(properties, "property", name="verdict", value=entry.verdict)
    ET.SubElement(properties, "property", name="family", value=clean(record.family))
    kind = counts_as(entry)
    if kind != "passed":
        element = ET.SubElement(case, kind, message=message(entry))
        if kind != "skipped":
            element.set("type", entry.verdict)
            element.text = explain(entry.gravest)
    return case


def render(results: Results) -> ET.ElementTree:
    """The whole run as one test suite."""
    entries = results.entries()
    kinds = Counter(counts_as(entry) for entry in entries)
    wall = float((results.summary or {}).get("wall_ms") or sum(scenario.duration_ms for scenario in results.scenarios))
    suite = ET.Element("testsuite", name=clean(f"sockproof.{results.target}".rstrip(".")), tests=str(len(entries)),
                       failures=str(kinds["failure"]), errors=str(kinds["error"]), skipped=str(kinds["skipped"]),
                       time=f"{wall / 1000:.3f}")
    if results.run.get("started"):
        suite.set("timestamp", str(results.run["started"]))
    suite.extend(_case(entry) for entry in entries)
    whole = ET.Element("testsuites")
    whole.append(suite)
    return ET.ElementTree(whole)


def write(results: Results, file: Path) -> None:
    tree = render(results)
    ET.indent(tree)
    tree.write(file, encoding="utf-8", xml_declaration=True)
