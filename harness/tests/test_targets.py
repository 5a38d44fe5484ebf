"""What TARGET means on a command line."""

import sys
from pathlib import Path

import pytest
from sockproof import paths, targets


def test_a_name_is_a_file_of_ours() -> None:
    linux = targets.resolve("linux")
    assert (linux.provider, linux.profile, linux.launcher) == ("posix", "linux", "")
    assert linux.runner_arguments() == ["--target", str(linux.file)]


def test_every_target_of_ours_has_the_name_of_its_file() -> None:
    for target in targets.known():
        assert target.file is not None and target.name == target.file.stem and target.provider and target.profile


def test_a_file_of_somebody_elses(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nprovider = "lib:./mine.so"\nprofile = "posix"\nlauncher = "env A=1"\nlauncher_mode = "run"\n')
    mine = targets.resolve(str(file))
    assert (mine.name, mine.provider, mine.launcher, mine.launcher_mode) == ("mine", "lib:./mine.so", "env A=1", "run")


@pytest.mark.parametrize("text", ["posix", "lib:./mine.so"])
def test_a_provider_needs_no_file(text: str) -> None:
    assert targets.resolve(text, "posix").runner_arguments() == ["--provider", text, "--profile", "posix"]
    assert targets.resolve(text).profile == "linux"


@pytest.mark.parametrize("text, profile", [
    ("winsock", "winsock"), ("winsock:port", "winsock"), ("wsp:./my.dll", "winsock-spi"), ("lib:C:\\my.DLL", "winsock")])
def test_sockets_of_windows_are_run_as_a_windows_program(text: str, profile: str) -> None:
    target = targets.resolve(text)
    assert (target.for_windows, target.profile, target.isolation or "none") == (True, profile, "none")
    assert targets.resolve("linux").for_windows is targets.resolve("lib:./my.so").for_windows is False


@pytest.mark.parametrize("text", ["nope", "../linux", "lib", "lib:", "shim", "shim:", "wsp", "wsp:", "nope:x", "", "missing.toml"])
def test_anything_else_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(targets.UnknownTarget) as unknown:
        targets.resolve(text)
    assert str(unknown.value)


def test_an_unknown_target_lists_the_known_ones() -> None:
    with pytest.raises(targets.UnknownTarget, match="linux"):
        targets.resolve("solaris")


def test_what_deviates_because_it_is_wine_is_not_expected_of_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    here = targets.resolve("winsock")
    monkeypatch.setattr(sys, "platform", "win32")
    there = targets.resolve("winsock")
    assert all("Wine" in each["evidence"] for each in here.deviations) and here.deviations
    assert there.file == paths.TARGETS / "windows" / "winsock.toml"
    assert not any("Wine" in each["evidence"] for each in there.deviations)
    assert (there.name, there.provider, there.profile) == (here.name, here.provider, here.profile)
    assert [target.name for target in targets.known()].count("winsock") == 1
