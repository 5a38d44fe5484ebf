"""Begins a provider: a folder with a source that runs at once, everything 'not supported', and its target file."""

import re
import shlex
import shutil
from pathlib import Path

from sockproof import paths

TEMPLATES = paths.ROOT / "harness" / "templates" / "provider"
LIBRARY = paths.ROOT / "providers" / "shim" / "python" / "sockproof_shim.py"
KINDS = {
    "shim-python": ("py", 'provider = "shim:/usr/bin/python3 -EsS {here}/@NAME@.py"\n'),
    "c": ("c", 'provider = "lib:{build}/prepared/lib@NAME@.so"\n'
               'prepare  = "cc -std=c11 -g -Wall -Wextra -shared -fPIC -I @INCLUDE@ -o {build}/prepared/lib@NAME@.so '
               '{here}/@NAME@.c"\n'),
    "cpp": ("cpp", 'provider = "lib:{build}/prepared/lib@NAME@.so"\n'
                   'prepare  = "c++ -std=c++20 -g -Wall -Wextra -shared -fPIC -I @INCLUDE@ -o {build}/prepared/lib@NAME@.so '
                   '{here}/@NAME@.cpp"\n'),
}
TARGET = '''# Which documents it answers to: posix, linux, winsock or winsock-spi (docs/bring-your-own.md).
name     = "@NAME@"
text     = "@NAME@"
@PROVIDER@profile  = "posix"
'''


class CannotBegin(Exception):
    """The text says why."""


def begin(name: str, kind: str, where: Path) -> Path:
    """Writes the folder NAME in `where`; gives its target file. Raises CannotBegin; writes over nothing."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise CannotBegin(f"'{name}' is no name: a letter, then letters, digits and underscores")
    ending, provider = KINDS[kind]
    folder = where / name
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise CannotBegin(f"{folder} is there already") from None
    except OSError as failed:
        raise CannotBegin(str(failed)) from None

    def filled(text: str) -> str:
        whole = text.replace("@PROVIDER@", provider)
        return whole.replace("@INCLUDE@", shlex.quote(str(paths.ROOT / "providers" / "include"))).replace("@NAME@", name)

    (folder / f"{name}.{ending}").write_text(filled((TEMPLATES / f"{kind}.{ending}").read_text()))
    if kind == "shim-python":
        shutil.copy(LIBRARY, folder)
    target = folder / f"{name}.toml"
    target.write_text(filled(TARGET))
    return target
