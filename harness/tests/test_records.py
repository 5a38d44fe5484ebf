"""results.jsonl, read back."""

import json
from pathlib import Path

import golden
import jsonschema
import pytest
from reports.records import by_area, count, load, parse
from sockproof import paths


def written(folder: Path, tail: str = "") -> Path:
    file = folder / "results.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in golden.RECORDS) + tail)
    return file


def test_the_golden_records_obey_the_published_schema() -> None:
    schema = json.loads((paths.ROOT / "reports" / "schema" / "results.schema.json").read_text())
    for record in golden.RECORDS:
        jsonschema.validate(record, schema, jsonschema.Draft202012Validator)


def test_a_folder_and_its_file_are_the_same_results(tmp_path: Path) -> None:
    assert load(written(tmp_path)) == load(tmp_path) == golden.results()


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path: Path) -> None:
    assert load(written(tmp_path, '{"record":"scenario","na')) == golden.results()


def test_a_broken_line_in_the_middle_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a record: nonsense"):
        list(parse(["{}\n", "nonsense\n", "{}\n"]))


def test_what_a_later_schema_adds_is_left_aside() -> None:
    results = golden.results([golden.scenario("A.B/inet", "passed", ["a.b"], colour="blue")])
    assert results.scenarios[0].name == "A.B/inet"


def test_counts() -> None:
    entries = golden.results().entries()
    assert count(entries)["failed"] == 2
    assert count(by_area(entries)["accept"])["not_supported"] == 1
    summary = golden.RECORDS[-1]
    assert {verdict: number for verdict, number in summary["counts"].items() if number} == count(entries)
    assert [entry.name for entry in entries if entry.unexpected] == summary["unexpected"]


def test_repeats_that_disagree_are_flaky_and_the_gravest_speaks() -> None:
    (entry,) = golden.results([golden.scenario("A.B/inet", verdict, ["a.b"], repeat=number, unexpected=verdict == "failed")
                               for number, verdict in enumerate(("passed", "failed", "passed"))]).entries()
    assert entry.verdict == "flaky" and entry.unexpected and entry.gravest.record.repeat == 1
    assert "2 passed" in entry.reason
