"""The kill matrix: which scenarios notice which seeded fault.

A fault is killed by a scenario that declares a requirement which the fault breaks, and ends unexpectedly with the fault in the
provider without having seen that requirement hold. Anything else that fails is told, and kills nothing."""

import json
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from reports.records import Json

from sockproof import paths, runner, targets
from sockproof.build import Build
from sockproof.targets import Target


ORDER = ["survived", "by_luck", "harness_error", "not_supported", "killed"]  # what wants to be looked at first


@dataclass(frozen=True)
class Fault:
    """A seeded fault, as the battery lists it."""

    name: str
    text: str
    requirements: tuple[str, ...]
    profiles: tuple[str, ...]
    model: str


@dataclass
class Row:
    """What became of one fault on one target."""

    fault: Fault
    asked: list[str] = field(default_factory=list)  # what it breaks, as far as a scenario could fail for it under the profile
    noticed: dict[str, list[str]] = field(default_factory=dict)  # of those: the scenarios that noticed
    others: list[str] = field(default_factory=list)  # scenarios that noticed something else
    missing: dict[str, list[str]] = field(default_factory=dict)  # requirement: scenarios that need what the target does not have
    held: set[str] = field(default_factory=set)  # requirements that a scenario looked at and found kept
    harness_failed: bool = False
    again: dict[str, list[bool]] = field(default_factory=dict)  # the scenarios that noticed, run again: did it each time?

    @property
    def lucky(self) -> list[str]:
        """Scenarios that noticed once, and did not when they were run again."""
        return sorted(name for name, seen in self.again.items() if not all(seen))

    @property
    def killers(self) -> list[str]:
        return sorted({name for names in self.noticed.values() for name in names})

    @property
    def unnoticed(self) -> list[str]:
        """What it is said to break, and nobody noticed, though somebody looked."""
        return [each for each in self.asked if each not in self.noticed and each in self.held]

    @property
    def verdict(self) -> str:
        if self.harness_failed:
            return "harness_error"
        if self.noticed:
            return "by_luck" if self.lucky else "killed"
        return "survived" if self.unnoticed or not self.missing else "not_supported"


def faults(build: Build, provider: str, profile: str) -> list[Fault]:
    """Every fault that applies to the profile (its ancestors' too), by name."""
    lineage = targets.lineage(profile)
    listed = [Fault(entry["name"], entry["text"], tuple(entry["requirements"]), tuple(entry["profiles"]), entry["model"])
              for entry in runner.listing(build, "faults", provider, profile)]
    return [fault for fault in listed if set(fault.profiles) & set(lineage)]


def excused(file: Path = paths.ROOT / "providers" / "faulty" / "unbroken.toml") -> dict[str, str]:
    """Requirements that no fault breaks, each with the reason."""
    with file.open("rb") as text:
        groups = tomllib.load(text)["reason"]
    return {requirement: group["text"] for group in groups for requirement in group["requirements"]}


class _Matrix:
    """The rows of one target while they are filled in."""

    def __init__(self, build: Build, target: Target, chosen: Iterable[Fault], done: Callable[[Row], None]) -> None:
        self.build, self.target, self.done = build, target, done
        self.rows = {fault.name: Row(fault) for fault in chosen}
        self.declared = {entry["name"]: entry["requirements"]
                         for entry in runner.listing(build, "scenarios", target.provider, target.profile)}
        levels = {entry["id"]: entry["level"]
                  for entry in runner.listing(build, "requirements", target.provider, target.profile)}
        looked_at = {each for requirements in self.declared.values() for each in requirements}
        for row in self.rows.values():
            row.asked = [each for each in row.fault.requirements if each in looked_at and levels.get(each) == "MUST"]
        # What makes no scenario fail under the profile is no fault there.
        self.rows = {name: row for name, row in self.rows.items() if row.asked}
        self.told: set[str] = set()

    def run(self, rows: list[Row], everything: bool, stop: bool, jobs: int | None) -> bool:
        """One call of the runner for all of these rows. False when the harness failed."""
        entries: list[Json] = [{"fault": row.fault.name, **({} if everything else {"requirements": row.asked})} for row in rows]
        return self._try(entries, stop, jobs, self.take)

    def _try(self, entries: list[Json], stop: bool, jobs: int | None, take: Callable[[Json], None]) -> bool:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(entries, file)
            file.flush()
            options = runner.Options(faults=Path(file.name), jobs=jobs, stop_at_first=stop, no_stacks=True)
            job = runner.Run(self.build, self.target, options)
            for record in job.records():
                if record.get("record") == "tried":
                    take(record)
        return job.code == runner.AS_EXPECTED

    def repeat(self, rows: list[Row], times: int, jobs: int | None) -> bool:
        """The scenarios that noticed, so many times more. False when the harness failed."""
        entries = [{"fault": row.fault.name, "requirements": row.asked, "scenarios": row.killers, "times": times} for row in rows]
        return self._try(entries, False, jobs, self.take_again)

    def take_again(self, record: Json) -> None:
        row, scenario = self.rows[record["fault"]], record["scenario"]
        if record["verdict"] == "harness_error":
            row.harness_failed = True
            return
        noticed = {each for each, names in row.noticed.items() if scenario in names}
        row.again.setdefault(scenario, []).append(bool(noticed) and noticed <= set(record["noticed"]))

    def take(self, record: Json) -> None:
        row, scenario = self.rows[record["fault"]], record["scenario"]
        about = [each for each in self.declared[scenario] if each in row.asked]
        broken = [each for each in about if each in record["noticed"]]
        if record["verdict"] == "harness_error":
            row.harness_failed = True
        for each in broken:
            row.noticed.setdefault(each, []).append(scenario)
        if record["verdict"] == "not_supported":
            for each in about:
                row.missing.setdefault(each, []).append(scenario)
        else:
            row.held |= set(about) - set(broken)
        if record["unexpected"] and not broken:
            row.others.append(scenario)
        if row.noticed:
            self.tell(row)

    def tell(self, row: Row) -> None:
        if row.fault.name not in self.told:
            self.told.add(row.fault.name)
            self.done(row)


def matrix(build: Build, target: Target, chosen: list[Fault], jobs: int | None, full: bool,
           done: Callable[[Row], None], times: int = 1) -> list[Row]:
    """Tries each fault on the target; calls `done` as each is settled. Each scenario that noticed what it declares is run `times`
    times in all. Raises RuntimeError when the harness failed."""
    filling = _Matrix(build, target, chosen, done)
    rows = list(filling.rows.values())
    good = filling.run(rows, everything=full, stop=not full, jobs=jobs)
    # Who would have noticed what nobody did who should have.
    left = [row for row in rows if row.verdict == "survived"]
    if good and left and not full:
        good = filling.run(left, everything=True, stop=True, jobs=jobs)
    killed = [row for row in rows if row.verdict == "killed"]
    if not good:
        raise RuntimeError(f"the runner failed on {target.name}")
    if times > 1 and killed and not filling.repeat(killed, times - 1, jobs):
        for row in killed:  # what was noticed before stands; that it was so each time does not
            row.harness_failed = row.harness_failed or any(len(row.again.get(name, ())) < times - 1 for name in row.killers)
    for row in rows:
        filling.tell(row)
        row.others.sort()
    return rows


def unbroken(build: Build, target: Target, rows: list[Row]) -> list[Json]:
    """The MUST requirements of the profile that none of the faults was seen to break; each with the `reason`, where there is one:
    it stands in the list of reasons, or the target lacks what the scenarios need."""
    broken = {requirement for row in rows for requirement in row.noticed}
    lacking = {requirement for row in rows for requirement in row.missing if requirement not in row.held}
    reasons = excused()
    entries = []
    for entry in runner.listing(build, "requirements", target.provider, target.profile):
        if entry["level"] == "MUST" and entry["id"] not in broken:
            reason = reasons.get(entry["id"], "not supported here" if entry["id"] in lacking else "")
            entries.append({**entry, "reason": reason})
    return entries


def as_json(row: Row) -> Json:
    """One row of the matrix."""
    return {"fault": row.fault.name, "text": row.fault.text, "requirements": list(row.fault.requirements), "model": row.fault.model,
            "verdict": row.verdict, "killers": row.killers, "lucky": row.lucky, "others": row.others,
            "missing": sorted({name for names in row.missing.values() for name in names}),
            "broken": sorted(row.noticed), "unnoticed": row.unnoticed}
