"""Where builds and results go when the checkout, or the home, is somebody else's."""

import os
from pathlib import Path

import pytest
from sockproof import paths


@pytest.fixture(name="elsewhere")
def a_checkout_that_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing but tmp_path/cache, and /tmp where a test says so, can be written to."""
    monkeypatch.delenv("SOCKPROOF_BUILD", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda path, mode: str(path).startswith(str(tmp_path)))
    return tmp_path


def test_a_checkout_of_our_own_holds_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOCKPROOF_BUILD", raising=False)
    assert paths.build_dir("release") == paths.ROOT / "build" / "release"


def test_the_user_can_choose_where_to_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOCKPROOF_BUILD", str(tmp_path))
    assert paths.build_dir("debug") == tmp_path / "debug"


def test_somebody_elses_checkout_is_built_in_the_cache(elsewhere: Path) -> None:
    assert paths.build_dir("release").is_relative_to(elsewhere / "cache" / "sockproof")
    assert paths.results_dir("linux-now").is_relative_to(elsewhere / "cache" / "sockproof")


def test_results_of_the_same_second_do_not_meet(elsewhere: Path) -> None:
    first, second = paths.results_dir("linux-now"), paths.results_dir("linux-now")
    assert first != second and first.is_dir() and second.is_dir()


def test_without_a_home_it_is_a_private_folder_in_tmp(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent/cache")
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(elsewhere))
    folder = paths.build_dir("release")
    private = elsewhere / f"sockproof-{os.getuid()}"
    assert folder.is_relative_to(private) and private.stat().st_mode & 0o777 == 0o700


def test_a_trap_in_tmp_is_not_walked_into(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/nonexistent/cache")
    monkeypatch.setattr(paths.tempfile, "gettempdir", lambda: str(elsewhere))
    (elsewhere / "target").mkdir()
    (elsewhere / f"sockproof-{os.getuid()}").symlink_to(elsewhere / "target")
    with pytest.raises(PermissionError):
        paths.build_dir("release")
