"""The page that compares targets: what each requirement came to on each, and how each behaves where documents leave room."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import jinja2

from reports.records import GRAVITY, VERDICTS, Requirement, Results, count

# What somebody who compares implementations asks first; a requirement that a target has no outcome of is left empty there.
BEHAVIOUR = (
    ("Connections that a backlog of N completes", "backlog.capacity_seen"),
    ("A backlog of 0", "backlog.zero"),
    ("A negative backlog", "backlog.negative"),
    ("A client for whom there is no room", "backlog.overflow_client"),
    ("The same, a local socket that does not block", "backlog.local_full_nonblocking"),
    ("listen again, with a smaller backlog", "backlog.shrink_applies"),
    ("Nobody listens: connect that blocks", "refused.blocking"),
    ("Nobody listens: connect that does not, afterwards", "refused.nonblocking_error"),
    ("The same socket, once more", "refused.retry_same_socket"),
    ("Nobody answers", "refused.timeout"),
    ("The queue stays full", "refused.timeout_full_backlog_seen"),
    ("connect in progress, called again", "progress.again"),
    ("connect after the connection is there", "progress.connect_afterwards"),
    ("shutdown of a connect in progress", "progress.shutdown_pending"),
    ("The accepted socket: non-blocking mode", "inherit.nonblocking"),
    ("The accepted socket: close-on-exec", "inherit.close_on_exec"),
    ("The accepted socket: SO_KEEPALIVE", "inherit.so_keepalive"),
    ("The accepted socket: SO_LINGER", "inherit.so_linger"),
    ("The accepted socket: SO_RCVTIMEO", "inherit.so_rcvtimeo"),
    ("The accepted socket: TCP_NODELAY", "inherit.tcp_nodelay"),
    ("A client that reset before accept", "accept.reset_before_accept_seen"),
    ("Closed by the client before accept", "accept.closed_before_accept"),
    ("No room for the descriptor", "accept.descriptor_limit"),
    ("shutdown for reading of a listener", "accept.after_read_shutdown"),
    ("close with data under way, SO_LINGER on", "close.linger_waits"),
    ("send on a socket without a connection", "message.send_unconnected"),
)


@dataclass
class Cell:
    """A requirement on a target."""

    verdict: str
    seen: Counter[str]
    deviations: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return ", ".join(outcome for outcome, _ in self.seen.most_common())


@dataclass
class Column:
    """A target. `results` is None for one that did not run; `reason` says why then."""

    name: str
    results: Results | None
    code: int
    seconds: float
    folder: str
    reason: str = ""

    @cached_property
    def counts(self) -> Counter[str]:
        return count(self.results.entries()) if self.results else Counter()

    def unexpected(self) -> list[str]:
        """The scenarios that ended otherwise than the target's file says."""
        return [entry.name for entry in self.results.entries() if entry.unexpected] if self.results else []

    @property
    def profile(self) -> str:
        return str(self.results.run.get("target", {}).get("profile", "")) if self.results else ""

    @cached_property
    def cells(self) -> dict[str, Cell]:
        """By requirement, in every family together: the gravest verdict, and each outcome."""
        cells: dict[str, Cell] = {}
        for check in self.results.checks if self.results else []:
            cell = cells.setdefault(check.requirement, Cell(check.verdict, Counter()))
            cell.verdict = min(cell.verdict, check.verdict, key=GRAVITY.index)
            cell.seen[check.outcome] += 1
            if check.deviation and (said := str(check.deviation.get("reason", ""))) not in cell.deviations:
                cell.deviations.append(said)
        return cells


def line(column: Column) -> str:
    """A target that ran, in a line."""
    told = ", ".join(f"{column.counts[verdict]} {verdict.replace('_', ' ')}" for verdict in VERDICTS if column.counts[verdict])
    return f"{column.name:<24} {column.seconds:5.0f} s  {told}; {len(column.unexpected())} unexpected"


def render(columns: list[Column]) -> str:
    """The page as one HTML text."""
    texts: dict[str, Requirement] = {}
    for column in columns:
        for key, requirement in (column.results.requirements if column.results else {}).items():
            texts.setdefault(key, requirement)
    ran = [column for column in columns if column.results]
    areas: dict[str, list[str]] = {}
    for key in sorted({key for column in ran for key in column.cells}):
        areas.setdefault(key.split(".")[0], []).append(key)
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    differing = {key for keys in areas.values() for key in keys
                 if len({tuple(sorted(column.cells[key].seen)) for column in ran if key in column.cells}) > 1}
    return environment.get_template("compare.html.j2").render(
        columns=columns, ran=ran, verdicts=[each for each in VERDICTS if any(column.counts[each] for column in ran)],
        behaviour=[(says, key) for says, key in BEHAVIOUR if any(key in column.cells for column in ran)],
        areas=areas, texts=texts, differing=differing)


def write(columns: list[Column], file: Path) -> None:
    file.write_text(render(columns), encoding="utf-8")
