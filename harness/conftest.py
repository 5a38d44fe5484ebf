"""`pytest harness` runs the project's own Python tests; `pytest harness --target linux` runs the battery, an item a scenario."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from sockproof.pytest_plugin import (  # noqa: E402,F401 - the path comes first; pytest finds its hooks here
    pytest_addoption, pytest_collect_file, pytest_configure, pytest_ignore_collect, pytest_report_header)
