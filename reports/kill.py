"""The kill matrix as a page: which scenarios notice which seeded fault. One file that needs no network."""

from pathlib import Path

import jinja2

from reports.records import Json


def render(target: str, rows: list[Json], unbroken: list[Json], full: bool) -> str:
    """`rows` as `./sockproof mutants --format json` prints them; `unbroken`: MUST requirements that no fault broke."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True)
    verdicts: dict[str, int] = {}
    for row in rows:
        verdicts[row["verdict"]] = verdicts.get(row["verdict"], 0) + 1
    template = environment.get_template("kill.html.j2")
    return template.render(target=target, rows=rows, verdicts=verdicts, unbroken=unbroken, full=full)


def write(target: str, rows: list[Json], unbroken: list[Json], full: bool, file: Path) -> None:
    file.write_text(render(target, rows, unbroken, full), encoding="utf-8")
