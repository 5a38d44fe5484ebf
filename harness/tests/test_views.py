"""JUnit and HTML are views of the same results: nothing more, nothing less, and nothing that breaks out of them."""

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import golden
import pytest
from reports import html, junit
from reports.records import VERDICTS, Results, count


def suite_of(results: Results, folder: Path) -> ET.Element:
    junit.write(results, folder / "junit.xml")
    suite = ET.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    return suite


def test_junit_has_a_case_a_scenario_with_stable_names(tmp_path: Path) -> None:
    results = golden.results()
    names = [(case.get("classname"), case.get("name")) for case in suite_of(results, tmp_path).iter("testcase")]
    assert names == [(f"sockproof.{entry.runs[0].record.area}", entry.name) for entry in results.entries()]


def test_junit_tells_failures_from_errors_and_from_what_is_known(tmp_path: Path) -> None:
    suite = suite_of(golden.results(), tmp_path)
    kinds = {case.get("name"): [child.tag for child in case if child.tag != "properties"] for case in suite.iter("testcase")}
    assert kinds == {
        "Accept.Order/inet": [], "Accept.Order/inet6": ["failure"], "Accept.Wide/inet": [], "Accept.Wide/unix": ["skipped"],
        "Accept.Wide/inet6": ["skipped"], "Connect.Refused/inet": ["failure"], "Connect.Refused/inet6": ["failure"],
        "Connect.Refused/unix": ["error"], "Connect.Refused/dual": ["failure"], "Connect.Refused/seqpacket": ["skipped"]}
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "10", "failures": "4", "errors": "1", "skipped": "3"}


def test_junit_holds_requirement_ids_as_properties(tmp_path: Path) -> None:
    for case in suite_of(golden.results(), tmp_path).iter("testcase"):
        ids = [each.get("value") for each in case.iter("property") if each.get("name") == "requirement"]
        assert ids and all(re.fullmatch(r"[a-z_]+\.[a-z_]+", str(each)) for each in ids)


def test_junit_says_what_was_seen_and_who_forbids_it(tmp_path: Path) -> None:
    failure = suite_of(golden.results(), tmp_path).find("testcase[@name='Accept.Order/inet6']/failure")
    assert failure is not None and failure.text is not None
    for part in ("saw newest_first (0)", "allowed ok", "A document, clause 1", "replay: ./sockproof run", "line 59"):
        assert part in failure.text


def test_junit_of_repeats_keeps_its_names_and_calls_disagreement_a_failure(tmp_path: Path) -> None:
    records = [golden.scenario(f"A.{name}/inet", verdict, ["a.b"], repeat=number)
               for name, verdicts in {"Steady": ("passed", "passed"), "Flaky": ("passed", "failed")}.items()
               for number, verdict in enumerate(verdicts)]
    suite = suite_of(golden.results(records), tmp_path)
    assert [case.get("name") for case in suite.iter("testcase")] == ["A.Flaky/inet", "A.Steady/inet"]
    assert [failure.get("type") for failure in suite.iter("failure")] == ["flaky"]


class Page(HTMLParser):
    """What a browser would see: the tags with their attributes, the ids, and the text by element id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @property
    def ids(self) -> list[str]:
        return [str(attributes["id"]) for _, attributes in self.tags if "id" in attributes]


def test_a_known_deviation_comes_with_its_reason_and_evidence(tmp_path: Path) -> None:
    skipped = suite_of(golden.results(), tmp_path).find("testcase[@name='Accept.Wide/unix']/skipped")
    assert skipped is not None and "a reason" in str(skipped.get("message"))
    text = html.render(golden.results())
    assert "It has no queue of its own." in text and "Its manual, page 7." in text


@pytest.fixture(name="page")
def a_page() -> Page:
    return Page(html.render(golden.results()))


def test_html_stands_alone(page: Page) -> None:
    for tag, attributes in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "embed")
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert "url(" not in html.render(golden.results())


def test_html_escapes_what_an_implementation_says(page: Page) -> None:
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert "&lt;script&gt;alert" in html.render(golden.results())


def test_html_has_every_scenario_and_requirement_once_and_no_dangling_link(page: Page) -> None:
    results = golden.results()
    assert len(page.ids) == len(set(page.ids))
    wanted = {f"s-{scenario.name}" for scenario in results.scenarios} | {f"r-{each}" for each in results.requirements}
    assert wanted <= set(page.ids)
    links = {str(attributes["href"])[1:] for tag, attributes in page.tags if tag == "a"}
    assert links <= set(page.ids)


def test_html_counts_what_the_results_count() -> None:
    text, results = html.render(golden.results()), golden.results()
    for verdict in VERDICTS:
        chip = re.search(rf'<b class="v {verdict}">(\d+)</b>', text)
        assert int(chip.group(1) if chip else 0) == count(results.entries())[verdict]


def test_html_truncates_the_trace_of_a_pass_alone() -> None:
    text = html.render(golden.results())
    passed = text[text.index('id="s-Accept.Order/inet"'):text.index('id="s-Accept.Order/inet6"')]
    failed = text[text.index('id="s-Accept.Order/inet6"'):text.index('id="s-Accept.Wide/inet"')]
    assert "line 59" in passed and "line 19\n" not in passed and "line 20\n" in passed
    assert "line 0\n" in failed and "line 59" in failed


def test_html_shows_loose_spots_and_what_has_no_scenario() -> None:
    text = html.render(golden.results())
    loose = text[text.index('id="loose"'):]
    assert "accept.wide" in loose and "EINTR" in loose and "accept.order" not in loose
    missing = text[text.index('id="not-supported"'):text.index('id="loose"')]
    assert "connect.forged" in missing and "inject" in missing and "no ::1 here" in missing


def test_html_of_repeats_shows_each_verdict_that_came_up() -> None:
    records = [{"record": "run", "repeat": 3}] + [
        golden.scenario("A.B/inet", verdict, ["a.b"], repeat=number, unexpected=True, reason=f"reason {number}")
        for number, verdict in enumerate(("passed", "failed", "passed"), start=1)]
    text = html.render(golden.results(records))
    shown = [f"reason {number}</p>" in text for number in (1, 2, 3)]
    assert "3 runs: 2 passed 1 failed" in text and shown == [True, True, False]


@pytest.mark.parametrize("records", [[], golden.RECORDS[:1], golden.RECORDS[:-1]])
def test_views_of_a_run_that_was_cut_short(records: list[dict[str, object]], tmp_path: Path) -> None:
    results = golden.results(records)
    assert "cut short" in html.render(results)
    assert suite_of(results, tmp_path).get("tests") == str(len(results.scenarios))
