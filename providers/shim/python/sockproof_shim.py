"""The protocol's side of a shim in Python: docs/shim-protocol.md. Call `serve` with a function that performs operations."""

import errno
import os
import queue
import re
import socket
import threading
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Any

Words = dict[str, str]
Perform = Callable[[str, str, Words, list[str]], str]
threads: dict[str, int] = {}  # who carries out which operation
reading, saying, counting = threading.Lock(), threading.Lock(), threading.Lock()
idle = 1
replies: dict[str, "queue.SimpleQueue[str]"] = {}
mine = threading.local()
lines = open(0, "rb", 1 << 20)


class CannotSay(Exception):
    """There is no way to ask for that: the operation is answered with not_implemented."""


def need(condition: object, why: str = "there is no way to say that") -> None:
    """Gives the operation up unless `condition` holds."""
    if not condition:
        raise CannotSay(why)


def native(text: str) -> Any:
    """An address of the protocol as Python's socket module has it."""
    family, _, rest = text.partition(":")
    if family == "inet":
        return rest.rpartition(":")[0], int(rest.rpartition(":")[2])
    if family == "inet6":
        host, _, scope = rest[1:].rpartition("]:")[0].partition("%")
        return host, int(rest.rpartition(":")[2]), 0, int(scope or 0)
    need(family == "unix" and rest and ",length=" not in rest)
    return re.sub(rb"\\x(..)", lambda code: bytes.fromhex(code[1].decode()), rest.encode())


def named(key: str, words: Words, address: Any = None) -> str:
    """The word for an address that was asked for, with the length that it has in C. Without one: whether it can be asked for."""
    if key not in words:
        return ""
    kind, length_kind, room = words[key].split(",")
    need(kind == length_kind == "valid" and int(room) >= 110, "Python makes the room itself")
    if address is None:
        return ""
    if isinstance(address, tuple) and len(address) == 2:
        return f" {key}=inet:{address[0]}:{address[1]},16"
    if isinstance(address, tuple):
        groups = IPv6Address(address[0].partition("%")[0]).exploded.split(":")
        scope = f"%{address[3]}" if address[3] else ""
        return f" {key}=inet6:[{':'.join(f'{int(group, 16):x}' for group in groups)}{scope}]:{address[1]},28"
    path = os.fsencode(address)
    text = "".join(chr(c) if 32 < c < 127 and c != 92 else f"\\x{c:02x}" for c in path)
    return f" {key}=unix:{text},{2 + len(path) + (path[:1] not in (b'', bytes(1)))}"


def ask(question: str) -> str:
    """Asks the suite's condition function, in the middle of the accept that this thread carries out. What it replies."""
    reply = replies[mine.number] = queue.SimpleQueue()
    _say(f"{mine.number} ask {question}\n")
    return reply.get()


def asleep(number: str) -> bool:
    """Whether the thread of an operation sleeps in the kernel, and not for the interpreter's own lock (a futex)."""
    try:
        with open(f"/proc/self/task/{threads[number]}/syscall") as call, open(f"/proc/self/task/{threads[number]}/stat") as stat:
            return call.read().split()[0] not in ("running", "202", "98") and stat.read().rpartition(") ")[2][0] == "S"
    except (KeyError, OSError):
        return False


def _say(line: str) -> None:
    rest = memoryview(line.encode())
    with saying:
        while rest:
            rest = rest[os.write(1, rest):]


def _answer(perform: Perform, op: str, rest: list[str]) -> str:
    pairs = [word.partition("=")[::2] for word in rest if "=" in word]
    on = rest[0] if rest and "=" not in rest[0] else ""
    try:
        return perform(op, on, dict(pairs), [value for key, value in pairs if key == "data"])
    except socket.gaierror as failed:
        return f"not_implemented it looks a name up instead: {failed}"
    except OSError as failed:
        return f"{errno.errorcode.get(failed.errno or 0, 'UNKNOWN')} native={failed.errno or 0}"
    except (CannotSay, OverflowError, ValueError, TypeError, KeyError) as reason:
        return f"not_implemented {reason}".replace("\n", " ")


def _work(perform: Perform) -> None:
    """Who has read an operation carries it out, and leaves the reading to somebody else."""
    global idle
    while True:
        with reading:
            line = lines.readline()
        if not line:
            os._exit(0)
        with counting:
            idle -= 1
            alone = idle == 0
            idle += alone
        if alone:
            threading.Thread(target=_work, args=(perform,), daemon=True).start()
        number, op, *rest = line.decode().split()
        if op == "reply":
            replies.pop(number).put(" ".join(rest))
            said = ""
        elif op == "blocked":
            said = f"ok value={int(asleep(rest[0][3:]))}"
        else:
            threads[number], mine.number = threading.get_native_id(), number
            said = _answer(perform, op, rest)
            del threads[number]
        with counting:
            idle += 1
        if said:
            _say(f"{number} {said}\n")


def serve(name: str, capabilities: str, perform: Perform) -> None:
    """Greets, and serves until the input ends. perform(operation, handle, words, data) gives an outcome as a line; many threads
    call it at once. An OSError that it raises is the outcome; CannotSay and what comes of odd words is not_implemented."""
    _say(f"sockproof-shim 1 {name} {capabilities}\n")
    _work(perform)
