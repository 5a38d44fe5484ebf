"""ci/setup and the launcher, as an ordinary user and as one who lacks packages."""

import os
import subprocess
from pathlib import Path

import pytest
from sockproof import paths

SETUP = paths.ROOT / "ci" / "setup"


def call(*command: str | Path, **more: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
                          check=False, **more)  # type: ignore[call-overload,no-any-return]


def test_sets_build_on_each_other() -> None:
    base, run, test = (set(call(SETUP, name, "--list").stdout.split()) for name in ("base", "run", "test"))
    assert base < run < test and "python3" in base and "g++" in run and "python3-pytest" in test


@pytest.mark.parametrize("words", [[], ["everything"], ["run", "--quiet"]])
def test_anything_else_is_a_usage_error(words: list[str]) -> None:
    done = call(SETUP, *words)
    assert done.returncode == 2 and "usage: ci/setup" in done.stderr


@pytest.fixture(name="poor")
def a_machine_that_lacks_packages(tmp_path: Path) -> dict[str, str]:
    """A PATH on which dpkg-query knows nothing, nobody is root and there is no sudo."""
    for name, script in {"dpkg-query": "exit 1", "id": "echo 1000"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    for name in ("sh", "dirname", "readlink", "sed", "xargs", "echo"):
        (tmp_path / name).symlink_to(Path("/usr/bin") / name)
    return {"PATH": str(tmp_path)}


def test_who_cannot_install_is_told_what_to_do(poor: dict[str, str]) -> None:
    done = call("/bin/sh", SETUP, "base", env=poor)
    assert done.returncode == 2
    assert "apt-get install --no-install-recommends python3 python3-jinja2" in done.stderr


def test_the_launcher_stops_where_set_up_stops(poor: dict[str, str]) -> None:
    done = call("/bin/sh", paths.ROOT / "sockproof", "doctor", env=poor)
    assert done.returncode == 2 and "packages are missing" in done.stderr and not done.stdout


def test_the_launcher_works_through_a_symlink_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(paths.ROOT / "sockproof")
    done = call(tmp_path / "link", "list", "targets", cwd="/")
    assert done.returncode == 0 and "\nlinux\t" in done.stdout


def test_a_users_python_settings_do_not_reach_the_harness(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise SystemExit('the wrong typer')\n")
    done = call(paths.ROOT / "sockproof", "list", "targets", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0
