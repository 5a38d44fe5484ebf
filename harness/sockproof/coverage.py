"""Which lines of the reference provider its own battery reaches: gcov over runs of every profile."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from sockproof import paths, runner
from sockproof.build import Build
from sockproof.targets import Target

PRESET = "coverage-reference"
PROVIDER = "providers/reference"


class CoverageFailed(Exception):
    """There is nothing to count, and why."""


@dataclass
class File:
    """A source file: how often each line was reached that holds code."""

    name: str
    lines: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def reached(self) -> int:
        return sum(count > 0 for count in self.lines.values())

    @property
    def missed(self) -> str:
        """The lines that were not reached, as ranges."""
        ranges: list[list[int]] = []
        for line, count in sorted(self.lines.items()):
            if count > 0:
                ranges.append([])
            elif ranges and ranges[-1]:
                ranges[-1][1:] = [line]
            else:
                ranges.append([line])
        return ", ".join("-".join(map(str, each)) for each in ranges if each)


def _objects(build: Build) -> Path:
    return build.folder / PROVIDER / "CMakeFiles" / "sockproof-reference.dir"


def run(build: Build, targets: Iterable[Target]) -> None:
    """Runs the battery on each target, with counts that begin at nothing. Raises CoverageFailed."""
    for old in _objects(build).rglob("*.gcda"):
        old.unlink()
    for target in targets:
        job = runner.Run(build, target, runner.Options())
        for _ in job.records():
            pass
        if job.code != runner.AS_EXPECTED:
            raise CoverageFailed(f"a run ended with {job.code}: look at it with ./sockproof run {target.name}")


def count(build: Build) -> list[File]:
    """What the runs reached of the provider, a file after the other. Raises CoverageFailed."""
    notes = sorted(_objects(build).rglob("*.gcno"))
    if not notes:
        raise CoverageFailed(f"no counts in {_objects(build)}")

    def look(note: Path) -> str:
        done = subprocess.run(["gcov", "--json-format", "--stdout", str(note)], cwd=note.parent, capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise CoverageFailed(f"gcov: {done.stderr.strip()}")
        return done.stdout

    files: dict[str, File] = {}
    with ThreadPoolExecutor() as pool:
        for text in pool.map(look, notes):
            for line in text.splitlines():
                for entry in json.loads(line)["files"]:
                    _take(entry, files)
    return sorted(files.values(), key=lambda file: file.name)


def _take(entry: dict[str, object], files: dict[str, File]) -> None:
    name = str(entry["file"])
    path = Path(name) if Path(name).is_absolute() else paths.ROOT / name
    try:
        short = str(path.resolve().relative_to(paths.ROOT / PROVIDER))
    except ValueError:
        return  # a header of somebody else
    file = files.setdefault(short, File(short))
    lines = entry["lines"]
    assert isinstance(lines, list)
    for line in lines:
        file.lines[line["line_number"]] += line["count"]
