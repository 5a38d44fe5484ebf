"""What a target needs before it can run: Debian packages of its own, and a command that builds something."""

import fcntl
import hashlib
import os
import shlex
import subprocess
from pathlib import Path

from sockproof import paths
from sockproof.build import Build
from sockproof.targets import Target


class PrepareError(Exception):
    """It could not be made ready; the text says why."""


def ready(target: Target, build: Build) -> None:
    """Installs and builds what `target` needs and does not have yet. Raises PrepareError."""
    if target.packages and subprocess.run([paths.ROOT / "ci" / "setup", target.packages], check=False).returncode != 0:
        raise PrepareError(f"the packages that target {target.name} needs could not be installed (ci/setup {target.packages})")
    if target.prepare and target.file is not None:
        _make(target, target.file.parent, build.folder)


def _make(target: Target, here: Path, folder: Path) -> None:
    """Carries out `prepare`, unless it was done with the same words and the same files."""
    def placed(text: str) -> str:
        return text.replace("{here}", shlex.quote(str(here))).replace("{build}", shlex.quote(str(folder)))

    command = placed(target.prepare)
    digest = hashlib.sha256(command.encode())
    for word in shlex.split(command):
        if os.path.isfile(word):
            digest.update(Path(word).read_bytes())
    stamps = folder / "prepared"
    stamps.mkdir(exist_ok=True)
    with (stamps / f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs side by side: the second one finds it done
        stamp = stamps / target.name
        if stamp.is_file() and stamp.read_text() == digest.hexdigest():
            return
        stamp.unlink(missing_ok=True)
        done = subprocess.run(command, shell=True, cwd=here, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        if done.returncode != 0:
            raise PrepareError(f"target {target.name} cannot be prepared: {command}\n{done.stdout}")
        stamp.write_text(digest.hexdigest())
