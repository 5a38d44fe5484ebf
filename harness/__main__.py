"""What ./sockproof starts: `python3 harness COMMAND ...`, with this folder and the reports' on the path."""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parent.parent))

from sockproof.cli import main  # noqa: E402 - the path comes first

if __name__ == "__main__":
    main()
