"""What this machine can and cannot do for a run, tried out rather than looked up, and what each lack costs."""

import ctypes
import errno
import fcntl
import os
import platform
import resource
import shutil
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from sockproof import wine

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
SO_ATTACH_FILTER = 26
NEEDED_DESCRIPTORS = 1024


@dataclass(frozen=True)
class Finding:
    """One thing that was tried. `costs` says what is lost without it."""

    name: str
    able: bool
    detail: str
    costs: str


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, call: str) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")
    return result


def in_child(probe: Callable[[], str]) -> tuple[bool, str]:
    """Runs `probe` in a process of its own, since what it tries cannot be undone: (it worked, what it says or why not)."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        try:
            text, code = probe(), 0
        except BaseException as reason:  # whatever it is, it is the answer
            text, code = (reason.strerror or str(reason)) if isinstance(reason, OSError) else repr(reason), 1
        os.write(write_end, text.encode()[:4000])
        os._exit(code)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as answer:
        said = answer.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return status == 0, said


def _user_namespace() -> str:
    """A user namespace in which this user is root, with a network namespace that belongs to it."""
    uid, gid = os.getuid(), os.getgid()
    _checked(_libc().unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    return "in a user namespace"


def _enter_namespace() -> str:
    """A network namespace of its own, in a user namespace where that is what it takes; its loopback interface is up."""
    how = "as root"
    if os.getuid() != 0 or _libc().unshare(CLONE_NEWNET) == -1:
        how = _user_namespace()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
    return how


def _sysctl() -> str:
    _enter_namespace()
    knob = Path("/proc/sys/net/ipv4/tcp_abort_on_overflow")
    before = knob.read_text()
    knob.write_text("1")
    if knob.read_text().strip() != "1":
        raise OSError(errno.EIO, f"{knob} does not keep what is written")
    knob.write_text(before)
    return "net.ipv4 of a namespace"


def _tun() -> str:
    _enter_namespace()
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sh22x", b"probe0", IFF_TUN | IFF_NO_PI))
    return "in a namespace"


def _loopback(family: socket.AddressFamily, host: str) -> Callable[[], str]:
    def probe() -> str:
        with socket.socket(family, socket.SOCK_STREAM) as listener, socket.socket(family, socket.SOCK_STREAM) as client:
            listener.bind((host, 0))
            listener.listen(1)
            client.settimeout(5)
            client.connect(listener.getsockname())
        return host
    return probe


def _socket_filter() -> str:
    drop_all = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
    program = struct.pack("HxxxxxxP", 1, ctypes.addressof(drop_all))
    with suppress(OSError):  # a scenario has a namespace of its own where it may, and with it the right to this
        _enter_namespace()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    return "SO_ATTACH_FILTER on a listener"


def _debugger() -> str:
    debugger = shutil.which("gdb")
    if debugger is None:
        raise OSError(errno.ENOENT, "gdb is not installed")
    prey = os.fork()
    if prey == 0:
        signal.pause()
        os._exit(0)
    try:
        _checked(_libc().ptrace(PTRACE_ATTACH, prey, None, None), "ptrace")
        os.waitpid(prey, 0)
        _libc().ptrace(PTRACE_DETACH, prey, None, None)
    finally:
        os.kill(prey, signal.SIGKILL)
        os.waitpid(prey, 0)
    return debugger


def _program(name: str, *arguments: str) -> Callable[[], str]:
    def probe() -> str:
        where = shutil.which(name)
        if where is None:
            raise OSError(errno.ENOENT, f"{name} is not installed")
        said = subprocess.run([where, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=30, check=False)
        if said.returncode != 0:
            raise OSError(errno.EIO, f"{where} ends with {said.returncode}")
        return said.stdout.strip().splitlines()[0] if said.stdout.strip() else where
    return probe


def _wine() -> str:
    try:
        return wine.version()
    except wine.WineMissing as missing:
        raise OSError(errno.ENOENT, str(missing)) from missing


def _pytest() -> str:
    import pytest
    import xdist  # type: ignore[import]

    return f"pytest {pytest.__version__}, xdist {xdist.__version__}"


def _descriptors() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_DESCRIPTORS:
        raise OSError(errno.EMFILE, f"at most {hard} (now {soft})")
    return f"at most {hard if hard != resource.RLIM_INFINITY else 'unlimited'} (now {soft})"


def _other_user() -> str:
    if os.getuid() != 0:
        raise OSError(errno.EPERM, "this is not root")
    return "root"


PROBES: tuple[tuple[str, Callable[[], str], str], ...] = (
    ("network namespaces", _enter_namespace,
     "scenarios share this machine's loopback; those with capability knobs or silence may be not_supported"),
    ("user namespaces", _user_namespace, "only root gets namespaces of its own; an ordinary user runs without isolation"),
    ("sysctls of a namespace", _sysctl, "scenarios that need net.ipv4 settings (capability knobs) are not_supported"),
    ("TUN devices", _tun, "no scripted peer: requirements that need packet injection have no scenario to stand on"),
    ("IPv4 loopback", _loopback(socket.AF_INET, "127.0.0.1"), "no run: nearly everything uses 127.0.0.1"),
    ("IPv6 loopback", _loopback(socket.AF_INET6, "::1"), "families inet6 and dual are not_supported"),
    ("socket filters", _socket_filter, "scenarios that make a listener silent (capability silence) are not_supported"),
    ("stacks of a crash or a hang", _debugger, "crashed and hung come without stacks, and say why"),
    ("root", _other_user, "scenarios that need a privilege are not_supported, unless a user namespace gives it"),
    ("descriptors", _descriptors, f"scenarios that want up to {NEEDED_DESCRIPTORS} open sockets are not_supported"),
    ("pytest", _pytest, "no `pytest harness --target linux`; ci/setup test installs it"),
    ("Wine", _wine, "no target that needs Windows' sockets, as winsock; target linux does not"),
    ("cross-building for Windows", _program("x86_64-w64-mingw32-g++-posix", "--version"), "as without Wine"),
    ("gVisor", _program("runsc", "--version"), "no run under the launcher `runsc do`; target linux does not need it"),
)


def examine() -> list[Finding]:
    """Tries everything."""
    return [Finding(name, *in_child(probe), costs) for name, probe, costs in PROBES]


def machine() -> dict[str, str | int]:
    """What it was tried on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1 << 20)
    return {"kernel": f"{platform.system()} {platform.release()} {platform.machine()}", "libc": " ".join(platform.libc_ver()),
            "cores": len(os.sched_getaffinity(0)), "memory_mib": memory, "user": os.getuid()}


def as_json(findings: list[Finding]) -> dict[str, object]:
    return {"machine": machine(), "findings": [asdict(finding) for finding in findings]}
