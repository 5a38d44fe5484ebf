"""./sockproof fuzz and ./sockproof findings."""

import sys
from pathlib import Path
from typing import NoReturn, Optional

import typer

from sockproof import build, export, findings, fuzz, fuzzbench, targets

AS_EXPECTED, UNEXPECTED, FAILED = 0, 1, 2


def _stop(text: str) -> NoReturn:
    print(f"sockproof: {text}", file=sys.stderr)
    raise typer.Exit(FAILED)


def _programs() -> Path:
    try:
        return fuzz.programs()
    except (build.BuildError, OSError) as failed:
        _stop(f"the build failed\n{failed}")


def fuzz_command(
    target: Optional[str] = typer.Argument(None, show_default=False,
                                           help="A target's name, or PROVIDER[:ARG]: linux, reference:winsock, lib:FILE.so"),
    fuzzer: str = typer.Option("connection", "--fuzzer", help=f"One of {', '.join(fuzz.FUZZERS)}"),
    time: str = typer.Option("10m", "--time", help="How long: 90s, 10m, 2h"),
    jobs: int = typer.Option(1, "--jobs", "-j", min=1, help="Processes at once"),
    resume: bool = typer.Option(False, "--resume", help="Go on with the campaign that is there"),
    list_: bool = typer.Option(False, "--list", help="List the campaigns, and leave"),
    past: bool = typer.Option(False, "--past", help="Only replay what was once found"),
    faults: Optional[int] = typer.Option(None, "--faults", min=1, show_default=False,
                                         help="Look for N of the seeded faults instead, each for at most --time"),
    speed: bool = typer.Option(False, "--speed", help="Measure how fast scripts are run, and leave"),
    sameness: bool = typer.Option(False, "--sameness", help="Run the corpus 20 times, and see that nothing differs"),
) -> None:
    """Fuzzes TARGET: sequences of calls by lot, each judged by the oracle.

    Exit code: 0 nothing was found, 1 something was, 2 it could not be done."""
    if list_:
        for folder in fuzz.campaigns():
            campaign = fuzz.Campaign(folder, "", "", "", Path())
            try:
                campaign.begin(resume=True)
            except fuzz.CampaignError as failed:
                _stop(str(failed))
            print(f"{folder}\n  {campaign.state.fuzzer} on {campaign.state.provider}: {campaign.line()}")
        return
    if past:
        # Under the sanitizers of the compiler that builds everything else: no engine is needed for this.
        wrong = fuzz.past(build.ensure("debug", ("sockproof-fuzz",)).folder)
        for line in wrong:
            print(line)
        print(f"past findings: {len(wrong)} are wrong again")
        raise typer.Exit(UNEXPECTED if wrong else AS_EXPECTED)
    built = _programs()
    if target is None:
        _stop("name a target; ./sockproof list targets shows them")
    if fuzzer not in fuzz.FUZZERS:
        _stop(f"there is no fuzzer '{fuzzer}'; there are {', '.join(fuzz.FUZZERS)}")
    try:
        seconds = fuzz.seconds_of(time)
        chosen = targets.resolve(target, None)
    except (fuzz.CampaignError, targets.UnknownTarget) as failed:
        _stop(str(failed))
    if chosen.launcher or chosen.for_windows:
        _stop(f"'{target}' does not run in this process; what can be fuzzed: linux, reference:PROFILE, lib:FILE.so")
    profile = chosen.profile
    if speed:
        raise typer.Exit(fuzzbench.speed(built, chosen.provider, profile, min(seconds, 20.0)))
    if sameness:
        raise typer.Exit(fuzzbench.sameness(built, chosen.provider, profile, fuzz.folder_of(target, fuzzer) / "corpus"))
    if faults is not None:
        raise typer.Exit(fuzzbench.strength(built, chosen.provider, profile, faults, seconds, fuzzer))
    campaign = fuzz.Campaign(fuzz.folder_of(target, fuzzer), chosen.provider, profile, fuzzer, built)
    try:
        campaign.begin(resume)
        print(f"{campaign.folder}: {campaign.seed()} inputs to begin with", file=sys.stderr)
        campaign.run(seconds, jobs, fuzz.say_plainly)
        print(f"corpus: {campaign.merge()} inputs after merging", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; --resume goes on", file=sys.stderr)
    except (fuzz.CampaignError, OSError) as failed:
        _stop(str(failed))
    found = campaign.store.all()
    for each in found:
        print(f"{each.id}  {each.cause}  {each.steady} of {each.times}")
    print(f"{campaign.line()}\npage: {fuzz.write_page(campaign)}")
    raise typer.Exit(UNEXPECTED if found else AS_EXPECTED)


def _all() -> list[tuple[Path, findings.Finding]]:
    return [(folder, found) for folder in fuzz.campaigns() for found in findings.Store(folder / "findings", None).all()]


def _one(wanted: Optional[str]) -> tuple[Path, findings.Finding]:
    matching = [(folder, found) for folder, found in _all() if wanted and found.id.startswith(wanted)]
    if len({found.id for _, found in matching}) != 1:
        _stop(f"{'no finding' if not matching else 'more than one finding'} has an id that begins with '{wanted or ''}'")
    return matching[0]


def findings_command(
    action: str = typer.Argument("list", help="list, show, replay or export"),
    id: Optional[str] = typer.Argument(None, show_default=False, help="Of a finding; its first digits are enough"),
) -> None:
    """What the fuzzers have found: lists it, shows or replays one, or prints one as a scenario in C++.

    Exit code: 0; of replay: 1 if it shows still."""
    if action == "list":
        for folder, found in _all():
            print(f"{found.id}  {found.cause}\n          {found.fuzzer} on {found.provider}, {found.operations} operations, "
                  f"{found.steady} of {found.times} times; {folder.name}")
        return
    if action not in ("show", "replay", "export"):
        _stop(f"'{action}' is none of list, show, replay, export")
    folder, found = _one(id)
    script = folder / "findings" / f"{found.id}.script"
    if action == "show":
        print(script.read_text(encoding="utf-8"), end="")
    elif action == "export":
        print(export.scenario(found), end="")
    else:
        answer = findings.replay(_programs(), script, found.provider, found.profile, found.fuzzer)
        for line in answer["trace"]:
            print(line)
        for cause, count in answer["causes"].items():
            print(f"{findings.id_of(cause)}  {cause}: {count} of {findings.TIMES} times\n{answer['details'].get(cause, '')}")
        if not answer["causes"]:
            print("nothing is wrong any more")
        raise typer.Exit(UNEXPECTED if answer["causes"] else AS_EXPECTED)
