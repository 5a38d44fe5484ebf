"""The HTML report: one file that needs nothing else."""
from pathlib import Path
from reports.records import Results
def write(results: Results, file: Path) -> None:
    file.write_text("<!doctype html>")
