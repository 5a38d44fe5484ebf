"""A fuzzing campaign as a page: how it went, and what it found. One file that needs no network."""

from pathlib import Path
from typing import Any

import jinja2

SERIES = ((1, "executions"), (2, "coverage"), (3, "features"), (4, "corpus"), (5, "findings"))
WIDTH, HEIGHT = 560, 120


def plot(history: list[list[float]], column: int) -> str:
    """The points of one series, for a polyline of WIDTH by HEIGHT."""
    if not history:
        return ""
    longest = max(history[-1][0], 1.0)
    highest = max(max(row[column] for row in history), 1.0)
    return " ".join(f"{WIDTH * row[0] / longest:.1f},{HEIGHT - HEIGHT * row[column] / highest:.1f}" for row in history)


def render(state: dict[str, Any], found: list[dict[str, Any]]) -> str:
    """`state` and `found` as ./sockproof fuzz keeps them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True)
    history = state["history"]
    plots = [{"name": name, "points": plot(history, column), "last": int(history[-1][column]) if history else 0}
             for column, name in SERIES]
    return environment.get_template("fuzzing.html.j2").render(state=state, found=found, plots=plots, width=WIDTH, height=HEIGHT)


def write(state: dict[str, Any], found: list[dict[str, Any]], file: Path) -> None:
    file.write_text(render(state, found), encoding="utf-8")
