"""Whether a provider with a virtual clock repeats itself: the same seed, the same trace."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from sockproof import runner
from sockproof.build import Build
from sockproof.targets import Target


@dataclass
class Traces:
    """All scenarios of one target with one seed."""

    target: str
    seed: int
    times: int
    code: int = runner.HARNESS_FAILED
    digests: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))  # by scenario, one a run
    unexpected: list[tuple[str, str]] = field(default_factory=list)  # scenario and verdict

    @property
    def differing(self) -> list[str]:
        """Scenarios whose runs left several traces, or one of which left none."""
        return sorted(name for name, seen in self.digests.items() if len(seen) != self.times or len(set(seen)) > 1)

    @property
    def good(self) -> bool:
        return self.code == runner.AS_EXPECTED and not self.differing

    def sentence(self) -> str:
        failed = "" if self.code in (runner.AS_EXPECTED, runner.UNEXPECTED) else "; the run failed"
        return (f"{self.target}, seed {self.seed}: {len(self.digests)} scenarios, {self.times} times each: "
                f"{len(self.differing)} traces differ, {len(self.unexpected)} results unexpected{failed}")

    def lines(self) -> Iterator[str]:
        """One a scenario: target, seed, scenario, digest."""
        for name, seen in sorted(self.digests.items()):
            yield f"{self.target}\t{self.seed}\t{name}\t{' '.join(dict.fromkeys(seen))}\n"


def collect(build: Build, target: Target, seed: int, times: int, only: str | None, jobs: int | None) -> Traces:
    """Runs `target` with this seed, each scenario so many times."""
    traces = Traces(target.name, seed, times)
    run = runner.Run(build, target, runner.Options(filter=only, jobs=jobs, repeat=times, seed=seed))
    for record in run.records():
        if record.get("record") != "scenario":
            continue
        if record.get("trace_digest"):
            traces.digests[record["name"]].append(record["trace_digest"])
        if record["unexpected"]:
            traces.unexpected.append((record["name"], record["verdict"]))
    traces.code = run.code
    return traces
