"""The catalogue: a broken one stops the build with file, line and reason; and no requirement stands without a scenario."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from sockproof import build, paths

CATALOGUE = paths.ROOT / "conformance" / "catalogue"
# What no scenario can try yet: packets of our own making, a window system, and the calls between ws2_32 and a provider.
UNTRIED = {"inject", "window_messages", "spi"}
AREA = """area  = "play"
suite = "Play"
title = "Something to play with"

[[outcome]]
name = "odd"
text = "neither"

[[requirement]]
id   = "first"
text = "A sentence."
[requirement.posix]
level = "MUST"
allow = ["ok", "EINVAL", "odd", "=3"]
cite  = ["POSIX.1-2001 listen() ERRORS"]
"""
BROKEN = {  # what is replaced, by what: line and reason
    "an unknown key": ('level = "MUST"', 'level = "MUST"\ncolour = "red"', "14: unknown key 'colour'"),
    "an id twice": ('[[requirement]]', AREA[AREA.index("[[requirement]]"):] + "\n[[requirement]]", "id 'first' stands twice"),
    "an outcome that does not exist": ('"odd", "=3"', '"even"', "outcome 'even' does not exist"),
    "no citation": ('cite  = ["POSIX.1-2001 listen() ERRORS"]', "", "'cite' is missing"),
    "an empty citation": ('["POSIX.1-2001 listen() ERRORS"]', "[]", "'cite' is empty"),
    "an unknown level": ('"MUST"', '"OUGHT"', "13: level 'OUGHT' is none of"),
    "an unknown profile": ("[requirement.posix]", "[requirement.plan9]", "unknown key 'plan9'"),
    "an unknown capability": ('text = "A sentence."', 'text = "A sentence."\nneeds = ["wings"]', "there is no capability 'wings'"),
    "an id that is no name": ('id   = "first"', 'id   = "First Things"', "10: 'First Things' is no lower_case name"),
    "no entry at all": (AREA[AREA.index("[requirement.posix]"):], "", "no profile has an entry"),
    "what is no TOML": ('title = "Something', "title = Something", "play.toml:3: "),
    "another area's file": ('area  = "play"', 'area  = "work"', "belongs into work.toml"),
    "an outcome that all have": ('name = "odd"', 'name = "holds"', "'holds' is in outcomes.toml already"),
}


@pytest.fixture(name="compiler", scope="session")
def the_catalogue_compiler(built: build.Build) -> Path:
    return built.folder / "catalogue-compiler"


def compiled(compiler: Path, folder: Path, area: str) -> "subprocess.CompletedProcess[str]":
    for name in ("profiles.toml", "outcomes.toml"):
        shutil.copy(CATALOGUE / name, folder / name)
    (folder / "play.toml").write_text(area)
    return subprocess.run([compiler, folder / "generated", *sorted(folder.glob("*.toml"))], capture_output=True, text=True,
                          check=False)


def test_a_good_catalogue_is_taken(compiler: Path, tmp_path: Path) -> None:
    done = compiled(compiler, tmp_path, AREA)
    assert done.returncode == 0, done.stderr
    assert "extern const Requirement first;" in (tmp_path / "generated" / "play.h").read_text()


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_stops_with_file_line_and_reason(compiler: Path, tmp_path: Path, case: str) -> None:
    before, after, reason = BROKEN[case]
    assert before in AREA
    done = compiled(compiler, tmp_path, AREA.replace(before, after, 1))
    assert done.returncode == 1
    assert done.stderr.startswith("play.toml:") and reason in done.stderr, done.stderr


def listed(built: build.Build, what: str, *more: str) -> list[dict[str, object]]:
    run = subprocess.run([built.battery, f"--list={what}", *more], capture_output=True, text=True, check=True)
    entries: list[dict[str, object]] = json.loads(run.stdout)
    return entries


@pytest.mark.parametrize("profile", ["posix", "linux", "winsock", "winsock-spi"])
def test_every_requirement_has_a_scenario(built: build.Build, profile: str) -> None:
    tried: set[object] = set()
    for scenario in listed(built, "scenarios", f"--profile={profile}"):
        tried.update(scenario["requirements"])  # type: ignore[call-overload]
    idle = [entry["id"] for entry in listed(built, "requirements", f"--profile={profile}")
            if not UNTRIED.intersection(entry["needs"]) and entry["id"] not in tried]  # type: ignore[arg-type]
    assert not idle


def test_a_must_of_linux_has_a_document(built: build.Build) -> None:
    """What is known from the source or from trying alone is OBSERVED."""
    bare = [entry["id"] for entry in listed(built, "requirements", "--profile=linux") if entry["level"] == "MUST"
            and all(str(cite).startswith(("seen on", "Linux 6")) for cite in entry["cite"])]  # type: ignore[attr-defined]
    assert not bare


def test_a_profile_may_name_capabilities_that_there_are(compiler: Path, tmp_path: Path) -> None:
    compiled(compiler, tmp_path, AREA)
    profiles = (tmp_path / "profiles.toml").read_text()
    for good, name in ((True, "epoll"), (False, "wings")):
        (tmp_path / "profiles.toml").write_text(profiles.replace('capabilities = ["epoll"]', f'capabilities = ["{name}"]'))
        done = subprocess.run([compiler, tmp_path / "generated", *sorted(tmp_path.glob("*.toml"))], capture_output=True, text=True,
                              check=False)
        assert (done.returncode == 0) == good, done.stderr
    assert "there is no capability 'wings'" in done.stderr


def test_what_only_other_documents_know_is_left_out(built: build.Build) -> None:
    families = {profile: {scenario["family"] for scenario in listed(built, "scenarios", f"--profile={profile}")}
                for profile in ("posix", "linux", "winsock")}
    assert "seqpacket" in families["posix"] and "seqpacket" in families["linux"]
    assert "seqpacket" not in families["winsock"] and "unix" in families["winsock"]
    names = {profile: {scenario["name"] for scenario in listed(built, "scenarios", f"--profile={profile}")}
             for profile in ("posix", "linux")}
    assert "Refused.EpollShowsIt/inet" in names["linux"] and "Refused.EpollShowsIt/inet" not in names["posix"]
