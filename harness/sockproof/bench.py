"""How close a run comes to what no scheduling can beat, and what a scenario costs that does nearly nothing."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from reports.records import Json, Results

from sockproof import runner
from sockproof.build import Build
from sockproof.targets import Target

JOBS = 2


class BenchFailed(Exception):
    """A run did not end as expected, so its times say nothing."""


@dataclass(frozen=True)
class Times:
    """Milliseconds of a whole run, and of the cheapest scenario of it, repeated."""

    scenarios: int
    wall: float
    longest: float
    processor: float
    runner: float  # processor time of the runner itself
    over_bound: float
    over_scenarios: float
    cheapest: str
    isolated: float  # wall time a run of the cheapest scenario, each in namespaces of its own
    shared: float  # the same without


def _summary(build: Build, target: Target, options: runner.Options) -> tuple[Results, Json]:
    results = Results()
    with TemporaryDirectory(prefix="sockproof-bench-") as folder:
        options.output = Path(folder) / "output"
        job = runner.Run(build, target, options, live=False)
        for record in job.records():
            results.add(record)
    if job.code != runner.AS_EXPECTED or results.summary is None:
        raise BenchFailed(f"a run ended with {job.code}: look at it with ./sockproof run {target.name}")
    return results, results.summary


def measure(build: Build, target: Target, repeat: int) -> Times:
    """Runs everything once, and the cheapest scenario `repeat` times with isolation and without. Raises BenchFailed."""
    results, whole = _summary(build, target, runner.Options(jobs=JOBS))
    cheapest = min((each for each in results.scenarios if each.verdict == "passed"), key=lambda each: each.duration_ms).name
    each = {}
    for isolation in ("auto", "none"):
        options = runner.Options(filter=cheapest, jobs=JOBS, repeat=repeat, isolation=isolation)
        each[isolation] = float(_summary(build, target, options)[1]["wall_ms_per_result"])
    return Times(scenarios=whole["scenarios"], wall=whole["wall_ms"], longest=whole["longest_ms"], processor=whole["cpu_ms"],
                 runner=whole["runner_cpu_ms"], over_bound=whole["wall_over_bound"],
                 over_scenarios=whole["wall_over_scenarios"], cheapest=cheapest, isolated=each["auto"], shared=each["none"])


@dataclass(frozen=True)
class Wrapped:
    """What the wrapper of the seeded faults costs when there is no fault in it: medians of the pairs' ratios."""

    pairs: int
    processor: float  # processor time of the scenarios, with the wrapper / without
    wall: float
    verdicts_differ: list[str]  # scenarios whose verdict the wrapper changed


def measure_wrapper(build: Build, target: Target, pairs: int) -> Wrapped:
    """Runs everything in pairs, with and without `faulty:none`, in turns. Raises BenchFailed."""
    processor: list[float] = []
    wall: list[float] = []
    differ: set[str] = set()
    for number in range(pairs):
        plain, wrapped = runner.Options(jobs=JOBS), runner.Options(jobs=JOBS, fault="none")
        turns = [plain, wrapped] if number % 2 == 0 else [wrapped, plain]
        done = {id(options): _summary(build, target, options) for options in turns}
        (results, without), (others, with_it) = done[id(plain)], done[id(wrapped)]
        processor.append(with_it["cpu_ms"] / without["cpu_ms"])
        wall.append(with_it["wall_ms"] / without["wall_ms"])
        verdicts = {each.name: each.verdict for each in results.scenarios}
        differ |= {each.name for each in others.scenarios if verdicts.get(each.name) != each.verdict}
    return Wrapped(pairs, median(processor), median(wall), sorted(differ))
