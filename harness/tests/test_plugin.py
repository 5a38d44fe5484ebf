"""The battery through pytest, in a pytest of its own."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from sockproof import build, paths


def run_pytest(folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "pytest", str(paths.ROOT / "harness"), "--target", "linux", "-o",
                           f"cache_dir={folder / 'cache'}", *map(str, words)], capture_output=True, text=True, timeout=300,
                          stdin=subprocess.DEVNULL, cwd=paths.ROOT, check=False)


def cases(file: Path) -> dict[str, ET.Element]:
    return {str(case.get("name")): case for case in ET.parse(file).getroot().iter("testcase")}


def test_an_item_a_scenario(built: build.Build, tmp_path: Path) -> None:
    listed = run_pytest(tmp_path, "--collect-only", "-q", "-k", "Contract")
    items = [line for line in listed.stdout.splitlines() if "::" in line]
    assert items and all(item.startswith("harness/targets/linux.toml::") and "Contract" in item for item in items)
    everything = run_pytest(tmp_path, "--collect-only", "-q").stdout
    assert "test_plugin.py" not in everything


@pytest.mark.parametrize("workers", [0, 2])
def test_passes_with_properties(built: build.Build, tmp_path: Path, workers: int) -> None:
    done = run_pytest(tmp_path, "-k", "Contract", "-n", workers, f"--junitxml={tmp_path / 'junit.xml'}")
    assert done.returncode == 0, done.stdout
    found = cases(tmp_path / "junit.xml")
    assert found
    for case in found.values():
        properties = {str(each.get("name")): str(each.get("value")) for each in case.iter("property")}
        assert "." in properties["requirement"] and properties["verdict"] in ("passed", "observed", "not_supported")


def test_a_fault_fails_and_is_run_again_alone(built: build.Build, tmp_path: Path, deaf: Path) -> None:
    select = "Contract"
    bad = run_pytest(tmp_path, "-k", select, "--launcher", f"env LD_PRELOAD={deaf}", f"--junitxml={tmp_path / 'junit.xml'}")
    assert bad.returncode == 1, bad.stdout
    failed = {name for name, case in cases(tmp_path / "junit.xml").items()
              if case.find("failure") is not None or case.find("error") is not None}
    assert failed and "replay: " in bad.stdout
    again = run_pytest(tmp_path, "-k", select, "--lf", f"--junitxml={tmp_path / 'again.xml'}")
    assert again.returncode == 0, again.stdout
    assert set(cases(tmp_path / "again.xml")) == failed


def test_what_the_harness_gets_wrong_is_an_error(built: build.Build, tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "-k", "Contract", "--launcher", "/nonexistent/launcher", "-x",
                      f"--junitxml={tmp_path / 'junit.xml'}")
    assert done.returncode == 1
    (case,) = cases(tmp_path / "junit.xml").values()
    assert case.find("error") is not None and case.find("failure") is None


def test_an_unknown_target_is_a_usage_error(built: build.Build, tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "--target", "solaris")
    assert done.returncode == 4 and "no target 'solaris'" in done.stderr
