"""JUnit XML out of results: a test case a scenario, with stable names, requirement ids as properties, and errors apart from
failures."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

from reports.records import Check, Results, Scenario, as_text

ERRORS = ("harness_error",)  # of the harness; whatever else is unexpected is a failure of the implementation
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """`text` without what XML 1.0 cannot hold, shown as escapes instead."""
    return _NOT_XML.sub(lambda found: f"\\x{ord(found.group()):02x}", text)


def sentence(check: Check) -> str:
    """A check as one line: what was seen, what was allowed, and who says so."""
    native = f" ({check.native})" if check.native is not None else ""
    cited = f" [{'; '.join(check.citation)}]" if check.citation else ""
    detail = f": {check.detail}" if check.detail else ""
    allowed = " or ".join(check.allowed) or "anything"
    return f"{check.requirement} {check.level}: saw {check.outcome}{native}, allowed {allowed}{cited}{detail}"


def explain(scenario: Scenario, checks: list[Check]) -> str:
    """Everything somebody needs who looks at a scenario that did not simply pass."""
    parts = [sentence(check) for check in checks if check.verdict == "failed"]
    if scenario.reason:
        parts.append(scenario.reason)
    if scenario.replay:
        parts.append(f"replay: {scenario.replay}")
    if scenario.stacks:
        parts.append("stacks:\n" + as_text(scenario.stacks))
    elif scenario.stacks_missing:
        parts.append(f"no stacks: {scenario.stacks_missing}")
    if scenario.trace:
        parts.append("trace:\n" + "\n".join(scenario.trace))
    if scenario.output_tail:
        parts.append("output:\n" + as_text(scenario.output_tail))
    return clean("\n".join(parts))


def counts_as(scenario: Scenario) -> str:
    """What JUnit calls this scenario: passed, skipped, failure or error. A crash or a hang is a failure: of the implementation.

    A deviation that is known, and a SHOULD that failed without --strict, is no failure: it is 'skipped' with its reason."""
    if scenario.verdict in ("passed", "observed"):
        return "passed"
    if scenario.verdict in ERRORS and scenario.unexpected:
        return "error"
    if scenario.unexpected:
        return "failure"
    return "skipped"


def message(scenario: Scenario, checks: list[Check]) -> str:
    """The first thing to know, on one line."""
    failed = [sentence(check) for check in checks if check.verdict == "failed"]
    first = scenario.reason or (failed[0] if failed else "")
    return clean(f"{scenario.verdict}: {first}".replace("\n", " ").rstrip(": "))


def _case(results_checks: list[Check], scenario: Scenario, repeats: int) -> ET.Element:
    name = scenario.name if repeats < 2 else f"{scenario.name}#{scenario.repeat}"
    case = ET.Element("testcase", classname=f"sockproof.{scenario.area}", name=clean(name),
                      time=f"{scenario.duration_ms / 1000:.3f}")
    properties = ET.SubElement(case, "properties")
    for requirement in scenario.requirements:
        ET.SubElement(properties, "property", name="requirement", value=clean(requirement))
    ET.SubElement(properties, "property", name="verdict", value=scenario.verdict)
    ET.SubElement(properties, "property", name="family", value=clean(scenario.family))
    kind = counts_as(scenario)
    if kind != "passed":
        text = message(scenario, results_checks)
        element = ET.SubElement(case, kind, message=text)
        if kind != "skipped":
            element.set("type", scenario.verdict)
            element.text = explain(scenario, results_checks)
    return case


def render(results: Results) -> ET.ElementTree:
    """The whole run as one test suite."""
    repeats = int(results.run.get("repeat") or 1)
    target = str(results.run.get("target") or results.run.get("provider") or "sockproof")
    suite = ET.Element("testsuite", name=clean(f"sockproof.{target}"))
    grouped: dict[tuple[str, int], list[Check]] = {}
    for check in results.checks:
        grouped.setdefault((check.scenario, check.repeat), []).append(check)
    totals = {"failure": 0, "error": 0, "skipped": 0, "passed": 0}
    for scenario in results.scenarios:
        totals[counts_as(scenario)] += 1
        suite.append(_case(grouped.get((scenario.name, scenario.repeat), []), scenario, repeats))
    wall = float((results.summary or {}).get("wall_ms") or sum(scenario.duration_ms for scenario in results.scenarios))
    suite.attrib.update(tests=str(len(results.scenarios)), failures=str(totals["failure"]), errors=str(totals["error"]),
                        skipped=str(totals["skipped"]), time=f"{wall / 1000:.3f}")
    started = results.run.get("started")
    if started:
        suite.set("timestamp", str(started))
    whole = ET.Element("testsuites")
    whole.append(suite)
    return ET.ElementTree(whole)


def write(results: Results, file: Path) -> None:
    tree = render(results)
    ET.indent(tree)
    tree.write(file, encoding="utf-8", xml_declaration=True)
