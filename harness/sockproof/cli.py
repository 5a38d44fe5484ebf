"""The command line."""

import enum
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NoReturn, Optional

import typer
from reports import html, junit, kill
from reports.records import Check, Results, Scenario, load
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sockproof import bench as benchmark
from sockproof import build
from sockproof import coverage as lines
from sockproof import doctor as examination
from sockproof import everything, fuzzcli
from sockproof import mutants as teeth
from sockproof import newprovider, owntests, paths
from sockproof import prepare as preparation
from sockproof import runner, shimcheck, targets, wine
from sockproof import traces as sameness
from sockproof.show import Show

app = typer.Typer(name="sockproof", no_args_is_help=True, add_completion=False, rich_markup_mode=None,
                  pretty_exceptions_enable=False,
                  context_settings={"help_option_names": ["-h", "--help"]},
                  help="A conformance test suite for socket implementations: listen, connect, accept and the data behind them.")


class RunFormat(str, enum.Enum):
    text = "text"
    failures = "failures"
    json = "json"


class ListFormat(str, enum.Enum):
    text = "text"
    json = "json"


class Listed(str, enum.Enum):
    requirements = "requirements"
    scenarios = "scenarios"
    targets = "targets"
    faults = "faults"


class Kind(str, enum.Enum):
    shim_python = "shim-python"
    c = "c"
    cpp = "cpp"


class Isolation(str, enum.Enum):
    auto = "auto"
    none = "none"


class Preset(str, enum.Enum):
    release = "release"
    debug = "debug"
    coverage = "coverage"


def stop(text: str, code: int = runner.HARNESS_FAILED) -> NoReturn:
    """Ends with `text` on standard error."""
    print(f"sockproof: {text}", file=sys.stderr)
    raise typer.Exit(code)


def _build(preset: str = "release") -> build.Build:
    try:
        return build.ensure(preset)
    except (build.BuildError, OSError) as failed:
        stop(f"the build failed\n{failed}")


@contextmanager
def _prepared(target: Optional[targets.Target], preset: str = "release", jobs: Optional[int] = None) -> Iterator[build.Build]:
    """The programs for a target, and what has to run beside them."""
    try:
        with build.prepared(target is not None and target.for_windows, preset, jobs) as built:
            if target is not None:
                preparation.ready(target, built)
            yield built
    except preparation.PrepareError as failed:
        stop(str(failed))
    except (build.BuildError, OSError) as failed:
        stop(f"the build failed\n{failed}")


def _target(text: str, profile: Optional[str] = None) -> targets.Target:
    try:
        return targets.resolve(text, profile)
    except targets.UnknownTarget as unknown:
        stop(str(unknown))


def _targets(text: str, profile: Optional[str] = None) -> list[targets.Target]:
    try:
        return targets.resolve_all(text, profile)
    except targets.UnknownTarget as unknown:
        stop(str(unknown))


def _console(stream: IO[str]) -> Console:
    """A console on a stream; in a pipe it is plain text, of one width everywhere."""
    console = Console(file=stream, highlight=False)
    return console if console.is_terminal else Console(file=stream, highlight=False, width=160, no_color=True)


def write_views(results: Results, folder: Path) -> Path:
    """Writes what people look at into `folder`; gives the HTML report's path."""
    junit.write(results, folder / "junit.xml")
    html.write(results, folder / "report.html")
    return folder / "report.html"


class Views:
    """What people look at, written by processes beside the run of the next target: on more than one core it takes no time."""

    def __init__(self) -> None:
        self._writers: dict[int, Path] = {}

    def write(self, results: Results, folder: Path) -> Path:
        """Begins to write them into `folder`; gives the HTML report's path, which is there after `finish`."""
        sys.stdout.flush()
        sys.stderr.flush()
        writer = os.fork()
        if writer == 0:
            code = 1
            try:
                write_views(results, folder)
                code = 0
            except OSError as reason:
                print(f"sockproof: cannot write the report: {reason}", file=sys.stderr)
            finally:
                sys.stderr.flush()
                os._exit(code)
        self._writers[writer] = folder
        return folder / "report.html"

    def finish(self) -> bool:
        """Waits until all are there. False: one could not be written, and has said why."""
        ended = [os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) for writer in self._writers]
        self._writers.clear()
        return not any(ended)


def _option(*names: str, says: str, least: Optional[float] = None) -> Any:
    """An option whose default is the runner's business."""
    return typer.Option(None, *names, help=says, min=least, show_default=False)


@app.command()
def run(
    target: Optional[str] = typer.Argument(
        None, show_default=False,
        help="A target's name (default: linux), a target's file.toml, or PROVIDER[:ARG]: posix, lib:FILE.so, reference, "
             "shim:COMMAND; all: every target, and a page that compares them"),
    filter: Optional[str] = _option("--filter", says="Only these scenarios, in GoogleTest's words: 'Backlog*:Accept*-*/unix'"),
    jobs: Optional[int] = _option("--jobs", "-j", least=1, says="Scenarios that may compute at once (default: the cores)"),
    repeat: Optional[int] = _option("--repeat", least=1, says="Run each scenario N times; different verdicts are 'flaky'"),
    output: Optional[Path] = _option("--output", "-o", says="Folder for results.jsonl, junit.xml and report.html"),
    launcher: Optional[str] = _option("--launcher", says="A command to stand before each scenario: 'env LD_PRELOAD=libfoo.so'"),
    format: RunFormat = typer.Option(RunFormat.text, "--format", show_default=False,
                                     help="On stdout: text (default), only the names of unexpected failures, or every record"),
    profile: Optional[str] = _option("--profile", says="For PROVIDER[:ARG]: the documents it answers to (default: linux)"),
    seed: Optional[int] = _option("--seed", says="Order of the scenarios, and whatever else is random"),
    fault: Optional[str] = _option("--fault", says="Put one seeded fault into the provider (./sockproof list faults)"),
    stop_at_first: bool = typer.Option(False, "--stop-at-first", help="End the run at the first unexpected result"),
    strict: bool = typer.Option(False, "--strict", help="A failed SHOULD is a failure too"),
    protocol_id: Optional[int] = _option("--protocol-id", least=0,
                                         says="For winsock: the entry of the catalogue of protocols that sockets are made of"),
    provider_guid: Optional[str] = _option("--provider-guid", says="For winsock: the provider in it, '{...}' as netsh shows it"),
    resume: Optional[Path] = _option("--resume", says="Finish the run in this folder: what has a result is not run again"),
    isolation: Optional[Isolation] = _option("--isolation", says="auto (default): namespaces for each scenario, where possible"),
    timeout_scale: Optional[float] = _option("--timeout-scale", least=0.01, says="Multiplies every scenario's time limit"),
    preset: Preset = typer.Option(Preset.release, "--preset", help="The build to run; debug has sanitizers in it"),
) -> None:
    """Runs the scenarios on TARGET, and says where the report is.

    Exit code: 0 as expected, 1 something unexpected, 2 the harness failed or was interrupted (usage errors too), 3 nothing ran
    or everything was not supported."""
    if target == "all":
        asked = {"--filter": filter, "--jobs": jobs, "--repeat": repeat, "--seed": seed, "--timeout-scale": timeout_scale,
                 "--isolation": isolation.value if isolation else None, "--preset": preset.value}
        if launcher or profile or fault or resume or stop_at_first or format is not RunFormat.text:
            stop("'run all' takes no other options than --output, --strict, " + ", ".join(asked))
        words = [word for name, value in asked.items() if value is not None for word in (name, str(value))]
        raise typer.Exit(everything.run(output or paths.results_dir(f"all-{datetime.now():%Y%m%d-%H%M%S}"),
                                        words + ["--strict"] * strict, lambda line: print(line, flush=True)))
    chosen: list[Optional[targets.Target]] = [None]
    if target or not resume:
        chosen = [*_targets(target or targets.DEFAULT_TARGET, profile)]
    first = chosen[0]
    if profile and first is not None and first.file is not None:
        stop(f"--profile goes with PROVIDER[:ARG]; target '{first.name}' says its own ({first.profile})")
    if (protocol_id is not None or provider_guid) and not all(_is_winsock(each) for each in chosen):
        stop(f"--protocol-id and --provider-guid choose among what ws2_32 offers: they go with winsock, not with '{target}'")
    if resume is not None and len(chosen) > 1:
        stop(f"--resume finishes one run; say which target: {', '.join(each.name for each in chosen if each)}")
    if resume is not None and output is not None:
        stop("--resume finishes a run where it is; --output has no say in it")
    if resume is not None and not (resume / "results.jsonl").is_file():
        stop(f"nothing to resume: {resume / 'results.jsonl'} does not exist")
    options = runner.Options(filter=filter, jobs=jobs, repeat=repeat, seed=seed, resume=resume, launcher=launcher,
                             isolation=isolation.value if isolation else None, timeout_scale=timeout_scale, strict=strict,
                             fault=fault, stop_at_first=stop_at_first, protocol_id=protocol_id, provider_guid=provider_guid)
    codes: list[int] = []
    views = Views()
    builds: dict[bool, build.Build] = {}  # one for all targets of a system
    with ExitStack() as beside:
        for each in chosen:
            folder = output
            if output is not None and each is not None and len(chosen) > 1:
                folder = output / _plain(each.name)
            system = each is not None and each.for_windows
            if system not in builds:
                builds[system] = beside.enter_context(_prepared(each, preset.value, jobs))
            codes.append(_run_one(builds[system], each, options, folder, format, views, several=len(chosen) > 1))
            if codes[-1] == runner.HARNESS_FAILED:
                break
    if not views.finish():
        codes.append(runner.HARNESS_FAILED)
    # What is worst is said: the harness failed, something unexpected; nothing ran only if that is so everywhere.
    raise typer.Exit(next(code for code in (runner.HARNESS_FAILED, runner.UNEXPECTED, runner.AS_EXPECTED, runner.NOTHING_RAN)
                          if code in codes))


def _is_winsock(target: Optional[targets.Target]) -> bool:
    """A resumed run, which knows its own target, may be."""
    return target is None or target.provider.partition(":")[0] == "winsock"


def _plain(name: str) -> str:
    return re.sub("[^A-Za-z0-9_.-]+", "_", name)


def _run_one(built: build.Build, chosen: Optional[targets.Target], asked: runner.Options, output: Optional[Path],
             format: RunFormat, views: Views, several: bool) -> int:
    """One target: runs it, shows it, begins to write its report. The exit code."""
    name = chosen.name if chosen else "resumed"
    try:
        folder = asked.resume or output or paths.results_dir(f"{_plain(name)}-{datetime.now():%Y%m%d-%H%M%S}")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        stop(f"cannot write results: {reason}")
    options = replace(asked, output=None if asked.resume else folder)
    console = _console(sys.stdout if format is RunFormat.text else sys.stderr)
    show = Show(console)
    if several:
        show.line(f"-- {name}")
    results = Results()
    checks: list[Check] = []
    job = runner.Run(built, chosen, options, on_stderr=show.line)
    try:
        with show.live(f"sockproof {name}"):
            for record in job.records():
                if format is RunFormat.json:
                    print(json.dumps(record, ensure_ascii=False), flush=True)
                if record.get("record") == "run":
                    show.total(int(record.get("scenarios") or 0) * int(record.get("repeat") or 1))
                ended = results.add(record)
                if isinstance(ended, Check):
                    checks.append(ended)
                elif isinstance(ended, Scenario):  # its checks came before it
                    show.scenario(ended, checks, results.requirements)
                    checks = []
    except KeyboardInterrupt:
        job.code = runner.HARNESS_FAILED
    if (asked.resume or job.code == runner.HARNESS_FAILED) and (folder / "results.jsonl").is_file():
        results = load(folder)  # which holds more than what was streamed
    if format is RunFormat.failures:
        for entry in results.entries():
            if entry.unexpected:
                print(f"{name} {entry.name}" if several else entry.name)
    show.summary(results)
    if results.run or results.scenarios:
        show.line(f"report: {views.write(results, folder)}")
    return job.code


@app.command()
def replay(
    file: Path = typer.Argument(..., help="A trace, a results.jsonl, or a script: a call a line, handles s1, s2, ... as they come"),
    target: str = typer.Option(targets.DEFAULT_TARGET, "--target", help="As for run; where the calls are made"),
    scenario: str = typer.Option("", "--scenario", help="Which scenario of a results.jsonl (default: the first one with a trace)"),
    profile: Optional[str] = _option("--profile", says="For PROVIDER[:ARG]: the documents it answers to (default: linux)"),
) -> None:
    """Makes the calls of FILE again, prints what came of it and what the oracle says of that.

    Exit code: 0 no violation, 1 violations, 2 the file cannot be read or a call not be made."""
    chosen = _target(target, profile)
    if not file.is_file():
        stop(f"there is no file {file}")
    command = [*shlex.split(chosen.launcher), str(_build().battery), f"--provider={chosen.provider}",
               f"--profile={chosen.profile}", f"--replay={file}"]
    if scenario:
        command.append(f"--replay-scenario={scenario}")
    raise typer.Exit(subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode)


@app.command()
def report(results: Path = typer.Argument(..., help="A results.jsonl, or the folder that holds one"),
           output: Optional[Path] = _option("--output", "-o", says="Folder for the views (default: beside the results)")) -> None:
    """Writes report.html and junit.xml again, from results that are there."""
    try:
        loaded = load(results)
    except (OSError, ValueError) as reason:
        stop(f"no results there: {reason}")
    if not loaded.run and not loaded.scenarios:
        stop(f"no results in {results}")
    folder = output or (results if results.is_dir() else results.parent)
    folder.mkdir(parents=True, exist_ok=True)
    print(write_views(loaded, folder))


@app.command("list")
def list_(what: Listed = typer.Argument(..., help="What to list"),
          profile: str = typer.Option(targets.DEFAULT_PROFILE, "--profile", help="Whose documents: linux, posix, ..."),
          format: ListFormat = typer.Option(ListFormat.text, "--format", help="text, or json: one array")) -> None:
    """Lists requirements, scenarios, targets or seeded faults."""
    if what is Listed.targets:
        rows = [{"name": each.name, "text": each.text, "provider": each.provider, "profile": each.profile,
                 "launcher": each.launcher, "deviations": each.deviations} for each in targets.known()]
        columns = ["name", "provider", "profile", "launcher", "text"]
    else:
        try:
            rows = runner.listing(_build(), what.value, "posix", profile)
        except subprocess.CalledProcessError as failed:
            stop(failed.stderr.strip() or f"the battery ended with {failed.returncode}")
        columns = {Listed.requirements: ["id", "level", "allow", "text"], Listed.scenarios: ["name", "requirements"],
                   Listed.faults: ["name", "requirements", "profiles", "text", "model"]}[what]
    if format is ListFormat.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False)
    if not console.is_terminal:  # one entry a line, for grep and cut
        for row in rows:
            print("\t".join(_cell(row.get(column)) for column in columns))
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    console.print(table, markup=False)


@app.command("under-wine", hidden=True, context_settings={"ignore_unknown_options": True})
def under_wine(command: list[str] = typer.Argument(..., help="A Windows program, and its arguments")) -> None:
    """Runs one Windows program as runs do, under Wine with a server and a network of its own; its exit code."""
    try:
        with wine.running(1) as emulator:
            words = shlex.split(emulator.replace("{job}", "0"))
            prefix = next(word.partition("=")[2] for word in words if word.startswith("WINEPREFIX="))
            done = subprocess.run([*words, *command], env=wine.environment(Path(prefix)), stdin=subprocess.DEVNULL, check=False)
    except wine.WineMissing as missing:
        stop(str(missing))
    raise typer.Exit(done.returncode)


@app.command()
def test() -> None:
    """The project's own tests and checks. Exit code 0 when all of them are good."""
    raise typer.Exit(0 if owntests.run() else 1)


@app.command()
def mutants(target: str = typer.Argument(targets.DEFAULT_TARGET, help="As for run; reference is every profile of it"),
            fault: Optional[list[str]] = typer.Option(None, "--fault", help="Only this one (may be given several times)"),
            jobs: Optional[int] = _option("--jobs", "-j", least=1, says="Faults that are tried at once (default: the cores)"),
            full: bool = typer.Option(False, "--full", help="Every fault against every scenario, instead of up to the first kill"),
            times: int = typer.Option(1, "--times", min=1, help="Runs each scenario that noticed so often; it must each time"),
            output: Optional[Path] = _option("--output", "-o", says="Folder for kill-TARGET.json and kill-TARGET.html"),
            profile: Optional[str] = _option("--profile", says="For PROVIDER[:ARG]: the documents it answers to"),
            format: ListFormat = typer.Option(ListFormat.text, "--format", help="text, or json: an array for each target")) -> None:
    """The kill matrix: puts one seeded fault after the other into TARGET, and says which scenarios notice.

    Exit code: 0 when every fault that applies is killed by a scenario that declares what it breaks, 1 otherwise, 3 if none
    applies."""
    chosen = _targets(target, profile)
    folder = output or paths.results_dir(f"mutants-{_plain(target)}-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        stop(f"cannot write results: {reason}")
    rows: list[teeth.Row] = []
    blunt: list[str] = []
    for each in chosen:
        with _prepared(each, jobs=jobs) as built:
            tried, kept = _kill(built, each, fault or [], jobs, full, times, folder, format)
        rows += tried
        blunt += kept
    if not rows:
        stop(f"no fault {'of these ' if fault else ''}applies to {target}; see ./sockproof list faults", runner.NOTHING_RAN)
    sharp = not blunt and all(row.verdict in ("killed", "not_supported") for row in rows)
    raise typer.Exit(runner.AS_EXPECTED if sharp else runner.UNEXPECTED)


def _kill(built: build.Build, target: targets.Target, wanted: list[str], jobs: Optional[int], full: bool, times: int,
          folder: Path, format: ListFormat) -> tuple[list[teeth.Row], list[str]]:
    """The matrix of one target: tried, shown, written; with the requirements that nobody broke though somebody should."""
    applies = [each for each in teeth.faults(built, target.provider, target.profile) if not wanted or each.name in wanted]
    console = _console(sys.stderr)
    started = datetime.now()
    try:
        rows = teeth.matrix(built, target, applies, jobs, full,
                            lambda row: console.print(f"{row.verdict:13} {row.fault.name}"), times)
    except RuntimeError as failed:
        stop(str(failed))
    rows.sort(key=lambda row: (teeth.ORDER.index(row.verdict), row.fault.name))
    table = [teeth.as_json(row) for row in rows]
    if format is ListFormat.json:
        print(json.dumps(table, indent=1))
    else:
        for row in rows:
            print(f"{row.verdict:13} {row.fault.name}: {_who(row)}")
        counts = {verdict: sum(row.verdict == verdict for row in rows) for verdict in teeth.ORDER}
        took = (datetime.now() - started).total_seconds()
        print(f"{len(rows)} faults on {target.name} in {took:.0f} s: "
              + ", ".join(f"{n} {verdict}" for verdict, n in counts.items() if n))
    page = folder / f"kill-{_plain(target.name)}.html"
    page.with_suffix(".json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    unbroken = teeth.unbroken(built, target, rows)
    kill.write(target.name, table, unbroken, full, page)
    blunt = [] if wanted else [entry["id"] for entry in unbroken if not entry["reason"]]
    if blunt:
        print(f"{len(blunt)} requirements of level MUST that no fault broke on {target.name}: {' '.join(blunt)}")
    console.print(f"report: {page}", soft_wrap=True)
    return rows, blunt


def _who(row: teeth.Row) -> str:
    """Who noticed it, or would have."""
    if row.lucky:
        return f"noticed once, but not each time, by {', '.join(row.lucky)}"
    if row.killers:
        return ", ".join(row.killers) + (f"; nobody noticed {', '.join(row.unnoticed)}" if row.unnoticed else "")
    missing = sorted({name for names in row.missing.values() for name in names})
    return ", ".join(row.others or missing) or "nothing noticed"


@app.command()
def bench(target: str = typer.Argument(targets.DEFAULT_TARGET, help="As for run"),
          repeat: int = typer.Option(500, "--repeat", min=1, help="How often the cheapest scenario is run"),
          wrapper: Optional[int] = _option("--wrapper", least=1, says="Instead, N pairs of runs with the faults' wrapper and not")
          ) -> None:
    """Measures how close a run comes to the least time that it could take, and what one scenario costs at --jobs 2."""
    if wrapper is not None:
        _bench_wrapper(target, wrapper)
        return
    chosen = _target(target)
    try:
        with _prepared(chosen, jobs=benchmark.JOBS) as built:
            times = benchmark.measure(built, chosen, repeat)
    except benchmark.BenchFailed as failed:
        stop(str(failed))
    print(f"{times.scenarios} scenarios: {times.wall / 1000:.2f} s; longest {times.longest / 1000:.2f} s, processor time "
          f"{times.processor / 1000:.2f} s, of the runner {times.runner / 1000:.2f} s")
    print(f"wall time / larger of longest and all processor time / cores: {times.over_bound:.2f} (with the scenarios' own alone: "
          f"{times.over_scenarios:.2f})")
    print(f"{times.cheapest}, {repeat} times: {times.isolated:.2f} ms each with isolation, {times.shared:.2f} ms without")


new = typer.Typer(no_args_is_help=True, help="Begins something of your own.")
app.add_typer(new, name="new")
app.command("fuzz")(fuzzcli.fuzz_command)
app.command("findings")(fuzzcli.findings_command)


@new.callback()
def _new() -> None:
    """Begins something of your own."""


@new.command("provider")
def new_provider(name: str = typer.Argument(..., help="Its name: a folder of this name is made"),
                 kind: Kind = typer.Option(..., "--kind", help="What it is written in, and how it is reached"),
                 folder: Path = typer.Option(Path("."), "--in", help="Where the folder is made")) -> None:
    """A provider that runs at once, with everything 'not supported', and turns green function by function."""
    try:
        target = newprovider.begin(name, kind.value, folder)
    except newprovider.CannotBegin as failed:
        stop(str(failed))
    for file in sorted(target.parent.iterdir()):
        print(file)
    print(f"next: ./sockproof run {target}")


@app.command("shim-check")
def shim_check(command: str = typer.Argument(..., help="What stands behind shim: in the provider: COMMAND, unix:PATH, "
                                                       "tcp:HOST:PORT"),
               verbose: bool = typer.Option(False, "--verbose", "-v", help="Show every line that is said")) -> None:
    """Talks to a shim, and says whether it keeps to the protocol (docs/shim-protocol.md), and what it can do.

    Exit code: 0 when nothing is wrong, 1 otherwise."""
    raise typer.Exit(0 if shimcheck.check(command, print, verbose) else 1)


def _bench_wrapper(target: str, pairs: int) -> None:
    try:
        seen = benchmark.measure_wrapper(_build(), _target(target), pairs)
    except benchmark.BenchFailed as failed:
        stop(str(failed))
    print(f"the wrapper without a fault, {seen.pairs} pairs of runs: processor time x {seen.processor:.3f}, "
          f"wall time x {seen.wall:.3f}; "
          f"{len(seen.verdicts_differ)} verdicts differ {' '.join(seen.verdicts_differ)}".rstrip())
    if seen.verdicts_differ:
        raise typer.Exit(runner.UNEXPECTED)


@app.command()
def traces(target: str = typer.Argument("reference", help="As for run; a provider with a virtual clock"),
           seeds: int = typer.Option(50, "--seeds", min=1, help="How many seeds, from --seed on"),
           seed: int = typer.Option(1, "--seed", min=0, help="The first of them"),
           times: int = typer.Option(5, "--times", min=2, help="How often each scenario is run with each"),
           filter: Optional[str] = _option("--filter", says="Only these scenarios"),
           jobs: Optional[int] = _option("--jobs", "-j", least=1, says="As for run"),
           output: Optional[Path] = _option("--output", "-o", says="A file for the digest of each trace: two can be compared"),
           ) -> None:
    """Runs the battery with many seeds, and several times with each: the same seed must lead to the same trace.

    Exit code: 0 when every run was as expected and all traces of a scenario and seed are the same, 1 otherwise, 3 if the
    provider has no virtual clock."""
    built = _build()
    found: list[sameness.Traces] = []
    for each in _targets(target):
        for number in range(seed, seed + seeds):
            found.append(sameness.collect(built, each, number, times, filter, jobs))
            print(found[-1].sentence(), flush=True)
            for name in found[-1].differing:
                print(f"    differs: {name}: {' '.join(found[-1].digests[name])}")
            for name, verdict in found[-1].unexpected:
                print(f"    {verdict}: {name}")
    if output is not None:
        output.write_text("".join(line for one in found for line in one.lines()), encoding="utf-8")
    scenarios = sum(len(one.digests) for one in found)
    if scenarios == 0:
        stop("no trace has a digest: only a provider with a virtual clock repeats itself", runner.NOTHING_RAN)
    print(f"{scenarios} scenarios and seeds, {times} times each: {sum(len(one.differing) for one in found)} traces differ, "
          f"{sum(len(one.unexpected) for one in found)} results unexpected")
    raise typer.Exit(runner.AS_EXPECTED if all(one.good for one in found) else runner.UNEXPECTED)


@app.command()
def coverage(missed: bool = typer.Option(False, "--missed", help="Name the lines that no scenario reaches"),
             least: float = typer.Option(85.0, "--least", min=0.0, max=100.0, help="Per cent; with less the exit code is 1"),
             ) -> None:
    """Says how much of the reference provider's code the battery reaches, over all profiles."""
    built = _build(lines.PRESET)
    try:
        lines.run(built, _targets("reference"))
        files = lines.count(built)
    except lines.CoverageFailed as failed:
        stop(str(failed))
    for file in files:
        print(f"{100 * file.reached / len(file.lines):6.1f} %  {file.reached:5} of {len(file.lines):5}  {file.name}")
        if missed and file.missed:
            print(f"          not: {file.missed}")
    reached, there = sum(file.reached for file in files), sum(len(file.lines) for file in files)
    print(f"{100 * reached / there:6.1f} %  {reached:5} of {there:5}  lines of {lines.PROVIDER}")
    raise typer.Exit(runner.AS_EXPECTED if 100 * reached >= least * there else runner.UNEXPECTED)


@app.command()
def doctor(format: ListFormat = typer.Option(ListFormat.text, "--format", help="text, or json: one object")) -> None:
    """Tries what this machine can do for a run, and says what each lack costs. """
    findings = examination.examine()
    if format is ListFormat.json:
        print(json.dumps(examination.as_json(findings), indent=1))
        return
    console = _console(sys.stdout)
    facts = examination.machine()
    console.print(f"{facts['kernel']}, {facts['libc']}, {facts['cores']} cores, {facts['memory_mib']} MiB, uid {facts['user']}")
    for finding in findings:
        mark = "[green]yes[/]" if finding.able else "[yellow]no [/]"
        console.print(f"{mark}  {finding.name}: {escape(finding.detail)}", soft_wrap=True)
        if not finding.able:
            console.print(f"     costs: {finding.costs}", soft_wrap=True, markup=False)


def _cell(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value if value is not None else "")


def main() -> None:
    """Entry point of ./sockproof."""
    app(prog_name="sockproof")
