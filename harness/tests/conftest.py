"""What several of the tests stand on: the real programs, and a fault to find with them."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sockproof import build, paths

LISTEN_FAILS = """
#include <errno.h>
int listen(int fd, int backlog) { (void)fd; (void)backlog; errno = EIO; return -1; }
"""
Call = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(name="built", scope="session")
def the_real_programs() -> build.Build:
    return build.ensure()


@pytest.fixture(name="sockproof")
def the_command_line(built: build.Build) -> Call:
    """Calls ./sockproof with some words."""
    def call(*words: object, **more: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([str(paths.ROOT / "sockproof"), *map(str, words)], capture_output=True, text=True, timeout=300,
                              stdin=subprocess.DEVNULL, check=False, **more)  # type: ignore[call-overload,no-any-return]
    return call


@pytest.fixture(name="deaf", scope="session")
def a_library_whose_listen_always_fails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fault")
    (folder / "deaf.c").write_text(LISTEN_FAILS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "deaf.so", folder / "deaf.c"], check=True)
    return folder / "deaf.so"
