"""Windows programs on a machine that has none: Wine, a server and a network of its own for each job of a run.

A template of Wine's prefix (its drive and its registry) is made once, in the user's cache. A job's prefix is a copy of the registry
and a link to the template's drive; its wineserver, in which the sockets of all its programs live, runs in a network namespace."""

import ctypes
import fcntl
import os
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sockproof import paths

LOADERS = ("/usr/lib/wine/wine64", "/usr/bin/wine64", "/opt/wine-stable/bin/wine64")
SERVERS = ("/usr/lib/wine/wineserver64", "/usr/lib/wine/wineserver", "/usr/bin/wineserver", "/opt/wine-stable/bin/wineserver")
REGISTRY = ("system.reg", "user.reg", "userdef.reg", ".update-timestamp")
FIRST_START_S = 120
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
PR_SET_PDEATHSIG = 1
SYN_RETRIES = Path("/proc/sys/net/ipv4/tcp_syn_retries")


class WineMissing(Exception):
    """There is no Wine, or it does not start; the text says what to do."""


def _first(candidates: tuple[str, ...], name: str) -> Path:
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return Path(candidate)
    found = shutil.which(name)
    if found is None:
        raise WineMissing(f"{name} is not installed: ci/setup winsock installs it")
    return Path(found)


def loader() -> Path:
    """What runs a 64-bit Windows program. Raises WineMissing."""
    return _first(LOADERS, "wine64")


def _server() -> Path:
    return _first(SERVERS, "wineserver")


def environment(prefix: Path) -> dict[str, str]:
    """What Wine's programs find in their environment: no display, no debugger, none of the parts that ask for downloads."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    # Debian's Wine looks for its server below TMPDIR, and starts one of its own where there is none.
    return {**kept, "TMPDIR": str(prefix.parent), "WINEPREFIX": str(prefix), "WINEARCH": "win64", "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=;winedbg.exe=d;winemenubuilder.exe=d"}


def version() -> str:
    """As Wine says it. Raises WineMissing."""
    done = subprocess.run([loader(), "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
                          check=False)
    if done.returncode != 0:
        raise WineMissing(f"{loader()} --version ends with {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def _end_server(prefix: Path) -> None:
    """The hard stop: a wineserver takes all its programs with it."""
    subprocess.run([_server(), "-k"], env=environment(prefix), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60, check=False)


def template() -> Path:
    """A prefix of this version of Wine, made if there is none yet. Raises WineMissing."""
    words = version().replace("(", " ").replace(")", " ").split()
    folder = paths.user_cache() if paths.writable(paths.user_cache()) else paths.build_dir("wine")
    base = folder / "sockproof" / "-".join(words)
    base.mkdir(parents=True, exist_ok=True)
    prefix = base / "prefix"
    with (base / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if prefix.is_dir():
            return prefix
        unfinished = base / f"prefix.{os.getpid()}"
        try:
            # Its output goes to a file: the services that it starts would keep a pipe open.
            with (base / "wineboot.log").open("wb") as log:
                done = subprocess.run([loader(), "wineboot.exe", "--init"], env=environment(unfinished), stdin=subprocess.DEVNULL,
                                      stdout=log, stderr=log, timeout=FIRST_START_S * 3, check=False)
            # The registry is written when the server ends.
            subprocess.run([_server(), "-w"], env=environment(unfinished), timeout=FIRST_START_S, check=False)
            if done.returncode != 0 or not (unfinished / "system.reg").is_file():
                raise WineMissing(f"Wine could not make its prefix: {base / 'wineboot.log'} says why")
            unfinished.rename(prefix)
        finally:
            if unfinished.exists():
                _end_server(unfinished)
                shutil.rmtree(unfinished, ignore_errors=True)
    return prefix


def copy_of(original: Path, prefix: Path) -> None:
    """A prefix with a registry of its own; the drive, which nobody writes to, is the original's."""
    (prefix / "dosdevices").mkdir(parents=True)
    for name in REGISTRY:
        with suppress(FileNotFoundError):
            shutil.copyfile(original / name, prefix / name)
    (prefix / "drive_c").symlink_to(original / "drive_c")
    (prefix / "dosdevices" / "c:").symlink_to("../drive_c")
    (prefix / "dosdevices" / "z:").symlink_to("/")


def _enter_network() -> None:
    """In a child before it becomes the server: a network namespace in which connections that nobody answers are given up soon.
    Where that may not be, the network stays the machine's."""
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if uid != 0 or libc.unshare(CLONE_NEWNET) == -1:
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1:
            return
        # The same numbers inside as outside: Wine looks whether its folders belong to who runs it.
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    with suppress(OSError):
        SYN_RETRIES.write_text("3")  # three more chances, in 7 s, for a request that found a full queue


def _before_server() -> None:
    _enter_network()
    os.setsid()
    # Who starts it may die in any way; what it serves dies with it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_until_it_listens(server: "subprocess.Popen[bytes]") -> None:
    """A program that finds no server yet would start one of its own, outside the job's network and gone with the program; and so
    would each that comes after it. Raises WineMissing."""
    end = time.monotonic() + FIRST_START_S
    while not Path(f"/proc/{server.pid}/cwd/socket").exists():  # it works in a folder of its own, where its socket is
        if server.poll() is not None:
            raise WineMissing(f"{_server()} ended with {server.returncode}")
        if time.monotonic() > end:
            raise WineMissing(f"{_server()} does not listen")
        time.sleep(0.005)


@contextmanager
def running(jobs: int) -> Iterator[str]:
    """Wine for so many jobs. Gives the command that runs a Windows program in one of them: its `{job}` stands for the number, from
    0. Raises WineMissing."""
    original = template()
    # Short, and in memory where that can be: the registry is written when a server ends.
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    base = Path(tempfile.mkdtemp(prefix="sockproof-wine.", dir=place))
    prefixes = [base / str(job) for job in range(jobs)]
    servers: list[subprocess.Popen[bytes]] = []
    try:
        for prefix in prefixes:
            copy_of(original, prefix)
            servers.append(subprocess.Popen([_server(), "-f", "-p"], env=environment(prefix), stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=_before_server))
        for server in servers:
            _wait_until_it_listens(server)
        warming = [subprocess.Popen([loader(), "cmd.exe", "/c", "exit"], env=environment(prefix), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/") for prefix in prefixes]
        for start in warming:  # the first program starts Windows' services, too
            if start.wait(FIRST_START_S) != 0:
                raise WineMissing(f"{loader()} cannot run a program (exit code {start.returncode})")
        given = environment(prefixes[0])
        # Without TMPDIR: the runner gives each scenario one of its own, and with it a server of its own. Closing a socket that
        # connects can end Wine 8.0's server by a crash, and all that it serves with it.
        words = [f"{name}={value}" for name, value in given.items() if name.startswith("WINE") and name != "WINEPREFIX"]
        yield shlex.join(["env", "-u", "DISPLAY", "-u", "WAYLAND_DISPLAY", f"WINEPREFIX={base}/{{job}}", *words, str(loader())])
    except subprocess.TimeoutExpired as late:
        raise WineMissing(f"Wine does not start: {late}") from late
    finally:
        for prefix, server in zip(prefixes, servers):
            with suppress(subprocess.TimeoutExpired):
                _end_server(prefix)
            server.kill()
            server.wait()
        shutil.rmtree(base, ignore_errors=True)
