"""The doctor tries things out in processes of their own, and says what each lack costs."""

import json
import os
import signal
from pathlib import Path

from sockproof import doctor
from sockproof.cli import app
from typer.testing import CliRunner


def test_every_finding_has_a_detail_and_a_cost() -> None:
    network = Path("/proc/self/ns/net").stat().st_ino
    findings = doctor.examine()
    assert len({finding.name for finding in findings}) == len(doctor.PROBES)
    assert all(finding.detail and finding.costs for finding in findings)
    assert Path("/proc/self/ns/net").stat().st_ino == network, "a probe moved us"


def test_a_probe_that_fails_or_dies_is_a_no_with_its_reason() -> None:
    def refused() -> str:
        raise PermissionError(1, "not today")

    assert doctor.in_child(refused) == (False, "not today")
    assert doctor.in_child(lambda: str(os.kill(os.getpid(), signal.SIGKILL))) == (False, "")
    assert doctor.in_child(lambda: "fine") == (True, "fine")


def test_json_is_one_object_with_the_same_findings() -> None:
    said = CliRunner().invoke(app, ["doctor", "--format", "json"])
    assert said.exit_code == 0
    answer = json.loads(said.stdout)
    assert {"kernel", "cores", "user"} <= answer["machine"].keys()
    assert [finding["name"] for finding in answer["findings"]] == [name for name, _, _ in doctor.PROBES]


def test_text_tells_the_cost_of_each_no() -> None:
    said = CliRunner().invoke(app, ["doctor"]).stdout
    lacks = [finding for finding in doctor.examine() if not finding.able]
    assert said.count("costs: ") == len(lacks)
