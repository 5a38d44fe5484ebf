"""The list of seeded faults: each says what it breaks, where, and what it resembles, in words that hold."""

import re

import pytest
from sockproof import build, mutants, runner, targets
from sockproof.mutants import Fault

PROFILES = ("posix", "linux", "winsock", "winsock-spi")


@pytest.fixture(name="faults", scope="module")
def every_fault(built: build.Build) -> list[Fault]:
    return [Fault(entry["name"], entry["text"], tuple(entry["requirements"]), tuple(entry["profiles"]), entry["model"])
            for entry in runner.listing(built, "faults", "posix", "linux")]


@pytest.fixture(name="levels", scope="module")
def level_of_each_requirement(built: build.Build) -> dict[str, dict[str, str]]:
    """By profile: id -> level."""
    return {profile: {entry["id"]: entry["level"] for entry in runner.listing(built, "requirements", "posix", profile)}
            for profile in PROFILES}


def test_each_has_a_name_of_its_own(faults: list[Fault]) -> None:
    names = [fault.name for fault in faults]
    assert names == sorted(set(names))
    assert not [name for name in names if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)]


def test_each_says_what_it_does_and_what_it_resembles(faults: list[Fault]) -> None:
    assert not [fault.name for fault in faults if len(fault.text) < 20 or len(fault.model) < 20 or not fault.requirements]
    told = [fault.text for fault in faults]
    assert not [text for text in told if told.count(text) > 1]


def test_requirements_exist(faults: list[Fault], levels: dict[str, dict[str, str]]) -> None:
    known = set().union(*levels.values())
    assert not [(fault.name, each) for fault in faults for each in fault.requirements if each not in known]


def test_requirements_are_declared_by_scenarios(built: build.Build, faults: list[Fault]) -> None:
    declared = {each for profile in PROFILES for entry in runner.listing(built, "scenarios", "posix", profile)
                for each in entry["requirements"]}
    assert not [(fault.name, each) for fault in faults for each in fault.requirements if each not in declared]


def test_profiles_ask_what_is_broken(faults: list[Fault], levels: dict[str, dict[str, str]]) -> None:
    """A fault that breaks nothing which makes a scenario fail under a profile could never be noticed there."""
    for fault in faults:
        for profile in fault.profiles:
            assert profile in PROFILES, fault.name
            assert any(levels[profile].get(each) == "MUST" for each in fault.requirements), (fault.name, profile)


def test_every_must_is_broken_or_has_a_reason(built: build.Build, levels: dict[str, dict[str, str]]) -> None:
    excused = mutants.excused()
    broken: set[str] = set()
    for profile in PROFILES:
        here = {each for fault in mutants.faults(built, "posix", profile) for each in fault.requirements}
        musts = {each for each, level in levels[profile].items() if level == "MUST"}
        assert sorted(musts - here - set(excused)) == [], profile
        broken |= here & musts
    assert sorted(set(excused) & broken) == []
    assert sorted(set(excused) - set().union(*levels.values())) == []
    assert not [each for each, reason in excused.items() if len(reason) < 40]


def test_a_profile_has_the_faults_of_its_ancestors(built: build.Build) -> None:
    names = {profile: {fault.name for fault in mutants.faults(built, "posix", profile)} for profile in PROFILES}
    for profile in PROFILES:
        for ancestor in targets.lineage(profile):
            assert names[ancestor] <= names[profile]
