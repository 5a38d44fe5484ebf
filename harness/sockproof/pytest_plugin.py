"""The battery through pytest: an item a scenario, run by the runner, judged by the runner. Nothing but pytest and the standard
library is imported here, so that any pytest of Python 3.11 can load it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any, Optional, Union

import pytest
from reports.junit import counts_as, explain, message
from reports.records import Entry, Json, Results

from sockproof import build, paths, runner, targets

OWN_TESTS = paths.ROOT / "harness" / "tests"
BUILT = pytest.StashKey[build.Build]()
ANCHOR = paths.ROOT / "harness" / "conftest.py"  # stands for a target that has no file under harness/targets


class ScenarioFailed(Exception):
    """The implementation did what it must not."""


class HarnessFailed(Exception):
    """Nothing can be said about the implementation."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sockproof", "the battery, an item a scenario")
    group.addoption("--target", metavar="TARGET", help="run the scenarios on this target instead of the project's own tests")
    group.addoption("--profile", metavar="P", help="for --target PROVIDER[:ARG]: the documents it answers to")
    group.addoption("--launcher", metavar="CMD", help="a command to stand before each scenario: 'env LD_PRELOAD=libfoo.so'")


def _target(config: pytest.Config) -> Optional[targets.Target]:
    """The target that this session is about; None when it is about the project's own tests."""
    text = config.getoption("target", None)
    try:
        return targets.resolve(text, config.getoption("profile", None)) if text else None
    except targets.UnknownTarget as unknown:
        raise pytest.UsageError(str(unknown)) from unknown


def pytest_configure(config: pytest.Config) -> None:
    """Builds. The workers of xdist come here too, and find it done."""
    target = _target(config)
    if target is None:
        return
    beside = ExitStack()
    try:
        config.stash[BUILT] = beside.enter_context(build.prepared(target.for_windows, jobs=1))
    except build.BuildError as failed:
        raise pytest.UsageError(f"the build failed\n{failed}") from failed
    config.add_cleanup(beside.close)


def pytest_report_header(config: pytest.Config) -> Optional[str]:
    target = _target(config)
    return None if target is None else f"sockproof target: {target.name} (provider {target.provider}, profile {target.profile})"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> Optional[bool]:
    """With --target, the project's own tests stay out of it."""
    return True if collection_path == OWN_TESTS and _target(config) is not None else None


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Optional[pytest.Collector]:
    """The scenarios of target NAME are collected where harness/targets/NAME.toml is."""
    target = _target(parent.config)
    if target is None:
        return None
    if target.file is not None and target.file.parent == paths.TARGETS:
        if file_path == target.file:
            return TargetFile.of(parent, file_path, target)
    elif file_path == ANCHOR:
        return TargetFile.of(parent, file_path, target, nodeid=target.name)
    return None


class TargetFile(pytest.File):
    """A target: its items are the battery's scenarios, in the battery's order."""

    target: targets.Target

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, target: targets.Target, **more: Any) -> "TargetFile":
        node: TargetFile = cls.from_parent(parent, path=path, **more)
        node.target = target
        return node

    def collect(self) -> Iterator[pytest.Item]:
        built = self.config.stash[BUILT]
        try:
            listed = runner.listing(built, "scenarios", self.target.provider, self.target.profile)
        except CalledProcessError as failed:
            raise self.CollectError(failed.stderr) from failed
        for entry in listed:
            yield ScenarioItem.of(self, entry, built)


class ScenarioItem(pytest.Item):
    """One scenario. The runner runs it in the set-up phase, so that what the harness gets wrong is an error, not a failure."""

    built: build.Build
    target: targets.Target
    entry: Entry

    @classmethod
    def of(cls, parent: TargetFile, entry: Json, built: build.Build) -> "ScenarioItem":
        item: ScenarioItem = cls.from_parent(parent, name=entry["name"])
        item.target, item.built = parent.target, built
        item.user_properties += [("requirement", requirement) for requirement in entry.get("requirements", [])]
        item.user_properties.append(("family", entry.get("family", "")))
        return item

    def setup(self) -> None:
        said: list[str] = []
        options = runner.Options(filter=self.name, jobs=1, launcher=self.config.getoption("launcher", None))
        job = runner.Run(self.built, self.target, options, on_stderr=said.append)
        results = Results()
        for record in job.records():
            results.add(record)
        if job.interrupted:
            raise KeyboardInterrupt
        entries = results.entries()
        if len(entries) != 1:
            raise HarnessFailed("\n".join([f"the runner ended with {job.code} and gave no verdict", *said]))
        self.entry = entries[0]
        self.user_properties.append(("verdict", self.entry.verdict))
        if counts_as(self.entry) == "error":
            raise HarnessFailed(self._explanation)

    @property
    def _explanation(self) -> str:
        return f"{message(self.entry)}\n{explain(self.entry.gravest)}"

    def runtest(self) -> None:
        if self.entry.unexpected:
            raise ScenarioFailed(self._explanation)
        if self.entry.verdict == "not_supported":
            pytest.skip(self.entry.reason)
        if counts_as(self.entry) == "skipped":  # a known deviation; a SHOULD that failed
            pytest.xfail(message(self.entry))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, (ScenarioFailed, HarnessFailed)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Union[Path, str], Optional[int], str]:
        return self.path, None, self.name
