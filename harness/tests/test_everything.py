"""`run all`: every target, and the page that compares them."""

import tomllib
from pathlib import Path

from reports import compare
from sockproof import everything, paths, targets


def test_all_means_every_target_and_every_profile_of_the_reference_provider() -> None:
    names = everything.members()
    assert len(set(names)) == len(names)
    here = {target.name for target in targets.known()} | {f"reference:{each}" for each in targets.REFERENCE_PROFILES}
    assert here - set(names) == set(everything.LEFT_OUT)
    assert all(targets.resolve(name).name == name for name in names)


def test_what_the_page_shows_of_behaviour_is_in_the_catalogue() -> None:
    ids = {f"{file.stem}.{entry['id']}" for file in paths.CATALOGUE.glob("*.toml")
           for entry in tomllib.loads(file.read_text()).get("requirement", [])}
    assert {key for _, key in compare.BEHAVIOUR} <= ids


def test_one_that_cannot_run_is_named_and_stops_nobody(tmp_path: Path) -> None:
    lines: list[str] = []
    code = everything.run(tmp_path, ["--filter", "Backlog.Negative/inet:Refused.Blocking*/inet"], lines.append,
                          names=["linux", "no-such-target", "reference:posix"])
    page = (tmp_path / "compare.html").read_text()
    assert code == 0, lines
    assert any(line.startswith("no-such-target") and "no target 'no-such-target'" in line for line in lines)
    assert any(line.startswith("2 of 3 targets ran") for line in lines)
    assert "did not run" in page and 'href="reference_posix/report.html"' in page and "backlog.negative" in page
    assert (tmp_path / "reference_posix" / "report.html").is_file()


def test_one_that_hangs_costs_its_own_limit(tmp_path: Path) -> None:
    lines: list[str] = []
    assert everything.run(tmp_path, ["--repeat", "100000"], lines.append, limit_s=2, names=["linux"]) in (2, 3)
    assert any("it was ended after 2 s" in line for line in lines)
    assert (tmp_path / "compare.html").is_file()
