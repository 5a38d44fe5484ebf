"""The command line from end to end, with the real runner and battery."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from conftest import Call
from reports.records import load
from sockproof import paths

SOME = "Contract.*"  # a handful of scenarios that need nothing special


def names(output: str) -> list[str]:
    return [line for line in output.splitlines() if line]


def test_a_run_leaves_its_results_and_says_where(sockproof: Call, tmp_path: Path) -> None:
    done = sockproof("run", "linux", "--filter", SOME, "--output", tmp_path / "out", cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == f"report: {tmp_path / 'out' / 'report.html'}"
    assert {file.name for file in (tmp_path / "out").iterdir()} >= {"results.jsonl", "junit.xml", "report.html"}
    results = load(tmp_path / "out")
    assert results.scenarios and results.summary is not None
    cases = list(ET.parse(tmp_path / "out" / "junit.xml").getroot().iter("testcase"))
    assert sorted(str(case.get("name")) for case in cases) == sorted(scenario.name for scenario in results.scenarios)
    text = (tmp_path / "out" / "report.html").read_text()
    assert all(f'id="s-{scenario.name}"' in text for scenario in results.scenarios)


def test_results_obey_the_published_schema(sockproof: Call, tmp_path: Path, deaf: Path) -> None:
    sockproof("run", "--filter", SOME, "--output", tmp_path, "--launcher", f"env LD_PRELOAD={deaf}")
    schema = json.loads((paths.ROOT / "reports" / "schema" / "results.schema.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert len(lines) > 3
    for line in lines:
        validator.validate(json.loads(line))


def test_a_filter_that_matches_nothing_is_3(sockproof: Call, tmp_path: Path) -> None:
    done = sockproof("run", "--filter", "Nothing.Like.This", "--output", tmp_path)
    assert done.returncode == 3


def test_failures_are_names_and_nothing_else(sockproof: Call, tmp_path: Path, deaf: Path) -> None:
    good = sockproof("run", "--filter", SOME, "--format", "failures", "--output", tmp_path / "good")
    assert (good.returncode, good.stdout) == (0, "")
    bad = sockproof("run", "--filter", SOME, "--format", "failures", "--output", tmp_path / "bad",
                    "--launcher", f"env LD_PRELOAD={deaf}")
    assert bad.returncode == 1
    failed = [entry.name for entry in load(tmp_path / "bad").entries() if entry.unexpected]
    assert failed and names(bad.stdout) == failed


def test_json_is_the_results_as_they_come(sockproof: Call, tmp_path: Path) -> None:
    done = sockproof("run", "--filter", SOME, "--format", "json", "--output", tmp_path)
    assert done.returncode == 0
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]


def test_text_of_a_failure_says_who_forbids_it_and_how_to_see_it_again(sockproof: Call, tmp_path: Path, deaf: Path) -> None:
    done = sockproof("run", "--filter", SOME, "--output", tmp_path, "--launcher", f"env LD_PRELOAD={deaf}")
    first = next(scenario for scenario in load(tmp_path).scenarios if scenario.unexpected)
    assert f"{first.verdict}  {first.name}" in done.stdout and first.replay in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("words", [
    ("run", "solaris"), ("run", "--jobs", "0"), ("run", "--nonsense"), ("list", "nonsense"), ("walk",), ("report", "/nonexistent"),
    ("list", "requirements", "--profile", "solaris"), ("run", "linux", "--profile", "posix"), ("run", "--resume", "/nonexistent")])
def test_usage_errors_are_2_and_say_why(sockproof: Call, words: tuple[str, ...]) -> None:
    done = sockproof(*words)
    assert done.returncode == 2 and done.stderr.strip() and not done.stdout


@pytest.mark.parametrize("what,key", [("requirements", "id"), ("scenarios", "name"), ("targets", "name")])
def test_lists(sockproof: Call, what: str, key: str) -> None:
    entries = json.loads(sockproof("list", what, "--format", "json").stdout)
    assert isinstance(entries, list) and entries
    assert len({entry[key] for entry in entries}) == len(entries)
    lines = sockproof("list", what).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == [entry[key] for entry in entries]


def test_profiles_list_their_own_levels(sockproof: Call) -> None:
    levels = {}
    for profile in ("posix", "linux"):
        entries = json.loads(sockproof("list", "requirements", "--profile", profile, "--format", "json").stdout)
        levels[profile] = {entry["id"]: entry["level"] for entry in entries}
    assert levels["posix"] != levels["linux"]


@pytest.mark.parametrize("profile", ["posix", "linux", "winsock", "winsock-spi"])
def test_every_requirement_has_a_scenario_or_a_reason(sockproof: Call, profile: str) -> None:
    listed = {what: json.loads(sockproof("list", what, "--profile", profile, "--format", "json").stdout)
              for what in ("requirements", "scenarios")}
    requirements = listed["requirements"]
    covered = {requirement for scenario in listed["scenarios"] for requirement in scenario["requirements"]}
    known = {requirement["id"] for requirement in requirements}
    assert all(known & set(scenario["requirements"]) for scenario in listed["scenarios"])
    assert [each["id"] for each in requirements if each["id"] not in covered and not each["needs"]] == []


def test_a_report_can_be_rendered_again(sockproof: Call, tmp_path: Path) -> None:
    sockproof("run", "--filter", SOME, "--output", tmp_path)
    before = (tmp_path / "report.html").read_text()
    (tmp_path / "report.html").unlink()
    done = sockproof("report", tmp_path)
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == before


def test_resume_finishes_what_was_cut_short(sockproof: Call, tmp_path: Path) -> None:
    sockproof("run", "--filter", SOME, "--output", tmp_path)
    whole = load(tmp_path)
    lines = (tmp_path / "results.jsonl").read_text().splitlines(keepends=True)
    third = [number for number, line in enumerate(lines) if json.loads(line)["record"] == "scenario"][2]
    (tmp_path / "results.jsonl").write_text("".join(lines[:third + 1]) + '{"record":"scena')
    done = sockproof("run", "--resume", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    resumed = load(tmp_path)
    assert sorted(each.name for each in resumed.scenarios) == sorted(each.name for each in whole.scenarios)
    assert resumed.summary is not None


def test_a_launcher_that_cannot_start_is_not_blamed_on_the_implementation(sockproof: Call, tmp_path: Path) -> None:
    done = sockproof("run", "--filter", SOME, "--output", tmp_path, "--launcher", "/nonexistent/launcher")
    assert done.returncode == 2


def test_a_provider_needs_no_target(sockproof: Call, tmp_path: Path) -> None:
    done = sockproof("run", "posix", "--profile", "posix", "--filter", SOME, "--output", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert load(tmp_path).run["target"]["profile"] == "posix"
