"""Where things are, in a checkout that may belong to somebody else."""

import hashlib
import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGETS = ROOT / "harness" / "targets"
CATALOGUE = ROOT / "conformance" / "catalogue"


def writable(folder: Path) -> bool:
    """Whether files can be made in `folder`, or it in the nearest ancestor that exists."""
    while not os.path.exists(folder):  # unlike Path.exists, says no where it may not look
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)


def user_cache() -> Path:
    """Where this user's programs keep what they can make again; it may not exist, or be closed."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


def _private_cache() -> Path:
    """A folder of this user's own for this checkout, for a checkout that the user cannot write to."""
    of_checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    if writable(user_cache()):
        return user_cache() / "sockproof" / of_checkout
    private = Path(tempfile.gettempdir()) / f"sockproof-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    if private.lstat().st_uid != os.getuid() or private.is_symlink():
        raise PermissionError(f"{private} belongs to somebody else")
    return private / of_checkout


def build_dir(preset: str) -> Path:
    """The build folder of a preset: SOCKPROOF_BUILD/PRESET, else build/PRESET of the checkout, else one in the user's cache."""
    chosen = os.environ.get("SOCKPROOF_BUILD")
    if chosen:
        return Path(chosen).resolve() / preset
    here = ROOT / "build" / preset
    return here if writable(here) else _private_cache() / "build" / preset


def results_dir(name: str) -> Path:
    """A new folder for the results of one run: in out/ of the checkout, else in the user's cache. `name` says what and when."""
    base = ROOT / "out"
    if not writable(base):
        base = _private_cache() / "out"
    base.mkdir(parents=True, exist_ok=True)
    for attempt in range(1000):
        folder = base / (name if attempt == 0 else f"{name}.{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{base / name}: taken, a thousand times over")
