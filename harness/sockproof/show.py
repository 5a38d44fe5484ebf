"""What a run looks like: a live line on a terminal, plain lines in a pipe, and the summary at the end of both."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from reports.junit import NOT_RIGHT, sentence, step_sentence
from reports.records import VERDICTS, Check, Entry, Requirement, Results, Scenario, by_area, count
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

STYLES = {"passed": "green", "failed": "bold red", "crashed": "bold red", "hung": "bold red", "flaky": "bold magenta",
          "harness_error": "bold magenta", "unexpected_pass": "bold yellow", "known_deviation": "yellow",
          "not_supported": "dim", "observed": "cyan"}


class Show:
    """Shows one run on `console`. Feed it every record's effect through `scenario`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._progress: Progress | None = None
        self._unexpected = 0
        self._told: set[tuple[str, str]] = set()

    @contextmanager
    def live(self, what: str) -> Iterator[None]:
        """A progress line for as long as the run lasts, where somebody is watching."""
        if not self.console.is_terminal:
            yield
            return
        with Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                      TextColumn("{task.fields[news]}"), console=self.console, transient=True) as progress:
            progress.add_task(escape(what), total=None, news="")
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    def total(self, scenarios: int | None) -> None:
        if self._progress is not None and scenarios:
            self._progress.update(self._progress.task_ids[0], total=scenarios)

    def line(self, text: str) -> None:
        """A line of somebody else's, above the progress line."""
        self.console.print(escape(text), soft_wrap=True, highlight=False)

    def scenario(self, scenario: Scenario, checks: list[Check], requirements: dict[str, Requirement]) -> None:
        """A scenario has ended: count it, and tell about it at once where it is worth telling."""
        self._unexpected += scenario.unexpected
        if self._progress is not None:
            sofar = f"[bold red]{self._unexpected} unexpected[/]" if self._unexpected else ""
            self._progress.update(self._progress.task_ids[0], advance=1, news=sofar)
        news = (scenario.name, scenario.verdict)
        if (scenario.unexpected or scenario.verdict == "failed") and news not in self._told:
            self._told.add(news)
            self._tell(scenario, checks, requirements)

    def _tell(self, scenario: Scenario, checks: list[Check], requirements: dict[str, Requirement]) -> None:
        style = STYLES.get(scenario.verdict, "")
        aside = "" if scenario.unexpected else " (SHOULD: told, and no failure without --strict)"
        again = f" (run {scenario.repeat + 1})" if scenario.repeat else ""
        self.console.print(f"[{style}]{scenario.verdict}[/]  {escape(scenario.name)}{again}{aside}", soft_wrap=True)
        lines = [step_sentence(step) for step in scenario.steps]
        for check in checks:
            if check.verdict in NOT_RIGHT:
                lines.append(sentence(check))
                lines += [f"  {requirements[check.requirement].text}"] if check.requirement in requirements else []
        if scenario.reason and (not lines or scenario.verdict == "harness_error"):
            lines.append(scenario.reason)
        for line in dict.fromkeys(lines):
            self.line(f"    {line}")
        if scenario.replay:
            self.line(f"    replay: {scenario.replay}")

    def summary(self, results: Results) -> None:
        """The table by area, what was not supported and why, and one closing line."""
        entries = results.entries()
        if entries:
            self.console.print(self._table(entries))
        for entry in entries:
            if entry.verdict == "flaky":
                self.line(f"flaky  {entry.name}: {entry.reason}")
        self._tell_missing([entry.reason or "no reason given" for entry in entries if entry.verdict == "not_supported"])
        if (oracle := results.oracle).calls:
            self.line(f"oracle: {oracle.judged} of {oracle.calls} calls judged, {oracle.unknown} on sockets of which nothing is "
                      f"known; {len(oracle.fired)} of {oracle.rules} rules were decided")
        self.line(closing(results))

    def _tell_missing(self, reasons: list[str]) -> None:
        """A line for each thing that is missing, named before the colon; of its reasons the commonest, and how many others."""
        by_thing: dict[str, Counter[str]] = {}
        for reason in reasons:
            by_thing.setdefault(reason.partition(":")[0], Counter())[reason] += 1
        for texts in sorted(by_thing.values(), key=lambda texts: -texts.total()):
            others = f" (and {plural(len(texts) - 1, 'other reason')})" if len(texts) > 1 else ""
            self.line(f"not supported, {plural(texts.total(), 'scenario')}: {texts.most_common(1)[0][0]}{others}")

    def _table(self, entries: list[Entry]) -> Table:
        total = count(entries)
        columns = [verdict for verdict in VERDICTS if total[verdict]]
        table = Table(box=None, pad_edge=False, show_footer=True)
        growing = total["not_supported"] > 0  # how far an implementation, or its adapter, has come
        table.add_column("area", footer="all")
        table.add_column("scenarios", footer=str(len(entries)), justify="right")
        for verdict in columns:
            table.add_column(verdict.replace("_", " "), footer=str(total[verdict]), justify="right", style=STYLES[verdict])
        if growing:
            table.add_column("right", footer=_share(entries), justify="right")
        for area, of_area in by_area(entries).items():
            counts = count(of_area)
            table.add_row(escape(area), str(len(of_area)), *(str(counts[verdict] or "") for verdict in columns),
                          *([_share(of_area)] if growing else []))
        return table


def _share(entries: list[Entry]) -> str:
    """Of all scenarios, how many went well. Never all of them, nor none, by rounding alone."""
    counts = count(entries)
    good = counts["passed"] + counts["observed"]
    return f"{min(max(round(100 * good / len(entries)), good > 0), 100 - (good < len(entries)))} %"


def plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def closing(results: Results) -> str:
    """The run in one sentence."""
    entries = results.entries()
    verdicts = count(entries)
    chosen = results.run.get("filter", "*")
    nothing = "nothing ran" if chosen == "*" else f"no scenario matches '{chosen}'"
    told = ", ".join(f"{verdicts[verdict]} {verdict}" for verdict in VERDICTS if verdicts[verdict]) or nothing
    unexpected = sum(entry.unexpected for entry in entries)
    wall = (results.summary or {}).get("wall_ms")
    time = f" in {float(wall) / 1000:.1f} s" if wall is not None else ""
    end = "; the run was cut short" if results.summary is None or results.summary.get("interrupted") else ""
    return f"{plural(len(entries), 'scenario')}{time}: {told}; {unexpected} unexpected{end}"
