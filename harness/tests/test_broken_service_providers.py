"""Service provider DLLs that cannot be loaded or started: the program says what is wrong with each, and ends with exit code 2."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sockproof import build

pytestmark = pytest.mark.xdist_group("wine")

# WSPStartup, what it does instead of its work; its second argument is the place for its versions.
STARTUP = """
#include <winsock2.h>
#include <ws2spi.h>
__declspec(dllexport) int WSPAPI WSPStartup(WORD version, LPWSPDATA data, LPWSAPROTOCOL_INFOW info, WSPUPCALLTABLE upcalls,
                                            LPWSPPROC_TABLE table) {{
  (void)version; (void)data; (void)info; (void)upcalls; (void)table;
  {0}
}}
"""
BROKEN = {
    "other": ("__declspec(dllexport) int Other(void) { return 0; }", "does not export WSPStartup"),
    "old": (STARTUP.format("data->wHighVersion = 0x0101; return WSAVERNOTSUPPORTED;"), "its highest is 1.1"),
    "failing": (STARTUP.format("return WSASYSNOTREADY;"), "returned 10091"),
    "holes": (STARTUP.format("return 0;"), "left WSPAccept out of its table"),
    "crashing": (STARTUP.format("*(volatile int*)16 = 1; return 0;"),
                 "crashed while it was loaded and started: exception 0xc0000005"),
}


@pytest.fixture(name="windows", scope="module")
def programs_for_windows() -> Iterator[build.Build]:
    with build.prepared(True, jobs=1) as built:
        yield built


def compiled(folder: Path, name: str) -> Path:
    source, library = folder / f"{name}.c", folder / f"{name}.dll"
    source.write_text(BROKEN[name][0], encoding="utf-8")
    subprocess.run(["x86_64-w64-mingw32-gcc-posix", "-shared", str(source), "-o", str(library)], check=True, timeout=120)
    return library


def told(windows: build.Build, library: Path) -> str:
    """What the battery says of it; its exit code is looked at here."""
    command = [*shlex.split(windows.for_job(0).emulator), str(windows.battery), f"--provider=wsp:{library}",
               "--profile=winsock-spi", "--info"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("name", BROKEN)
def test_one_that_cannot_be_started(windows: build.Build, tmp_path: Path, name: str) -> None:
    assert BROKEN[name][1] in told(windows, compiled(tmp_path, name))


def test_one_for_another_machine(windows: build.Build, tmp_path: Path) -> None:
    library = compiled(tmp_path, "holes")
    image = bytearray(library.read_bytes())
    header = int.from_bytes(image[0x3c:0x40], "little")
    image[header + 4:header + 6] = (0x14c).to_bytes(2, "little")
    library.write_bytes(image)
    assert "is a DLL for x86" in told(windows, library)


def test_what_is_no_dll(windows: build.Build, tmp_path: Path) -> None:
    text = tmp_path / "text.dll"
    text.write_text("nothing to run", encoding="utf-8")
    assert "is no DLL" in told(windows, text)
    assert "there is no file" in told(windows, tmp_path / "missing.dll")
