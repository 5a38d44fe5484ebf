"""The example of a provider in a shared library does what docs/bring-your-own.md says of it."""

import json
import subprocess
from pathlib import Path

from sockproof import build, paths


def test_the_minimal_provider_passes_what_it_can_do(built: build.Build, tmp_path: Path) -> None:
    library = tmp_path / "libminimal.so"
    subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC",
                    "-I", paths.ROOT / "providers/include", paths.ROOT / "providers/minimal/minimal.c", "-o", library], check=True)
    run = subprocess.run([built.runner, "--battery", built.battery, "--provider", f"lib:{library}", "--profile", "linux",
                          "--output", tmp_path / "out"],
                         capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    verdicts = [record["verdict"] for record in map(json.loads, (tmp_path / "out" / "results.jsonl").read_text().splitlines())
                if record["record"] == "scenario"]
    assert verdicts.count("passed") > 900
    assert set(verdicts) <= {"passed", "observed", "not_supported"}


def test_a_library_that_is_no_provider_is_told_apart(built: build.Build, tmp_path: Path) -> None:
    library = tmp_path / "libnothing.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", library], input="int nothing;", text=True, check=True)
    run = subprocess.run([built.battery, f"--provider=lib:{library}", "--info"], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and "sockproof_provider" in run.stderr
