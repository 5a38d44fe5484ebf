"""Talks to a shim as the suite does, and says what is wrong in plain words. docs/shim-protocol.md is what it goes by."""

import os
import queue
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO

VERSION = "1"
CAPABILITIES = frozenset("inet inet6 dual_stack unix_stream unix_seqpacket unix_datagram udp abstract_names connect_data condition "
                         "event_objects poll select epoll threads handle_passing handle_count tcp_state".split())
PATIENCE = 5.0
LOCAL = r"inet:127\.0\.0\.1:[1-9]\d*,-?\d+"
OUTCOME = re.compile(r"ok|UNKNOWN|not_implemented|NOT_SUPPORTED|[A-Z][A-Z0-9_]+")


class Wrong(Exception):
    """The shim breaks the protocol; the text says how."""


class Client:
    """One conversation. Everything that goes over is handed to `hears`."""

    def __init__(self, where: str, hears: Callable[[str], None] = lambda line: None) -> None:
        self.hears = hears
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: socket.socket | None = None
        self.next_id = 1
        self.answers: dict[int, str | None] = {}
        self.lines: queue.Queue[bytes | None] = queue.Queue()
        if where.startswith(("unix:", "tcp:")):
            self.connection = _connect(where)
            source: IO[bytes] = self.connection.makefile("rb")
        else:
            self.process = subprocess.Popen(where, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            start_new_session=True)
            assert self.process.stdout is not None
            source = self.process.stdout
        threading.Thread(target=self._read, args=(source,), daemon=True).start()

    def _read(self, source: IO[bytes]) -> None:
        for line in source:
            self.lines.put(line)
        self.lines.put(None)

    def line(self, patience: float, what: str) -> str:
        """The next line, without its end."""
        try:
            raw = self.lines.get(timeout=patience)
        except queue.Empty:
            raise Wrong(f"nothing came for {patience:.0f} s, where {what} was due") from None
        if raw is None:
            self.lines.put(None)
            raise Wrong(f"the shim ended where {what} was due" + self._code())
        shown = raw[:200]
        if not raw.endswith(b"\n"):
            raise Wrong(f"the shim ended in the middle of the line {shown!r}" + self._code())
        if b"\r" in raw:
            raise Wrong(f"the line {shown!r} ends with a carriage return; a line ends with a newline alone")
        if not all(32 <= byte < 127 for byte in raw[:-1]):
            raise Wrong(f"the line {shown!r} holds what is no printable ASCII")
        self.hears(f"< {raw[:-1].decode()}")
        return raw[:-1].decode()

    def _code(self) -> str:
        try:
            return f" (exit code {self.process.wait(1)})" if self.process is not None else ""
        except subprocess.TimeoutExpired:
            return ""

    def begin(self, text: str) -> int:
        """Says an operation; gives its id."""
        number, self.next_id = self.next_id, self.next_id + 1
        self.hears(f"> {number} {text}")
        line = f"{number} {text}\n".encode()
        try:
            if self.connection is not None:
                self.connection.sendall(line)
            else:
                assert self.process is not None and self.process.stdin is not None
                self.process.stdin.write(line)
                self.process.stdin.flush()
        except OSError:
            raise Wrong(f"the shim is gone where '{text}' was to be said" + self._code()) from None
        self.answers[number] = None
        return number

    def end(self, number: int, what: str, patience: float = PATIENCE) -> str:
        """The answer to operation `number`, without the id; those of others are kept for them."""
        until = time.monotonic() + patience
        while self.answers[number] is None:
            line = self.line(max(until - time.monotonic(), 0.01), f"the answer to {number} '{what}'")
            head, _, rest = line.partition(" ")
            if not head.isdigit():
                raise Wrong(f"the line '{line[:200]}' does not begin with an operation's number")
            if self.answers.get(int(head), "") is not None:
                raise Wrong(f"the line '{line[:200]}' answers " + ("an operation a second time" if int(head) in self.answers else
                                                                   "an operation that there never was"))
            if not OUTCOME.fullmatch(rest.split(" ")[0]):
                raise Wrong(f"'{rest[:200]}' is no answer: it begins with ok, an error's name, UNKNOWN or not_implemented")
            self.answers[int(head)] = rest
        return str(self.answers[number])

    def ask(self, text: str) -> str:
        return self.end(self.begin(text), text)

    def close(self) -> bool:
        """Ends the conversation. False if a process had to be killed for it."""
        if self.connection is not None:
            self.connection.close()
            return True
        assert self.process is not None and self.process.stdin is not None
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(1)
            return True
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
            return False


def _connect(where: str) -> socket.socket:
    kind, _, rest = where.partition(":")
    try:
        if kind == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(rest)
            return connection
        host, _, port = rest.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), PATIENCE)
    except (OSError, ValueError) as failed:
        raise Wrong(f"no connection to {where}: {failed}") from None


def value_of(answer: str, key: str, pattern: str, what: str) -> str:
    """The word KEY=... of an answer, which must look like `pattern`."""
    words = [word.partition("=")[2] for word in answer.split(" ") if word.startswith(f"{key}=")]
    if len(words) != 1 or not re.fullmatch(pattern, words[0]):
        raise Wrong(f"the answer to '{what}', '{answer[:200]}', has no word {key}= of the form {pattern}")
    return words[0]


class _Examination:
    def __init__(self, where: str, tell: Callable[[str], None], verbose: bool) -> None:
        self.where, self.tell, self.verbose = where, tell, verbose
        self.can: set[str] = set()
        self.client = self.open()

    def open(self) -> Client:
        client = Client(self.where, self.tell if self.verbose else lambda line: None)
        words = client.line(8, "the greeting").split(" ")
        if words[0] != "sockproof-shim" or len(words) < 3:
            raise Wrong(f"the first line is '{' '.join(words)[:200]}', and must be 'sockproof-shim {VERSION} NAME CAPABILITY...'")
        if words[1] != VERSION:
            raise Wrong(f"it speaks version {words[1]} of the protocol; this is version {VERSION}")
        if unknown := set(words[3:]) - CAPABILITIES:
            raise Wrong(f"the greeting names {', '.join(sorted(unknown))}; the capabilities are: {' '.join(sorted(CAPABILITIES))}")
        self.can = set(words[3:])
        self.name = words[2]
        return client

    def try_call(self, text: str) -> str | None:
        """The answer, or None where the shim does not know the call. An error is an answer."""
        answer = self.client.ask(text)
        return None if answer.split(" ")[0] in ("not_implemented", "NOT_SUPPORTED") else answer

    def made(self, text: str) -> str:
        """The answer to a call without which this step cannot go on."""
        answer = self.try_call(text)
        if answer is None:
            raise _Missing(text.split(" ")[0], [])
        return answer

    def greeting(self) -> str:
        return f"{self.name}; {' '.join(sorted(self.can)) or 'no capabilities'}"

    def unknown_operation(self) -> str:
        answer = self.client.ask("fly to=the_moon")
        if answer.split(" ")[0] not in ("not_implemented", "NOT_SUPPORTED"):
            raise Wrong(f"'fly' is no operation and must be answered with not_implemented; it was with '{answer[:200]}'")
        self.client.ask("ping")
        return "is answered with not_implemented"

    def connection(self) -> str:
        """Two sockets, one byte or more between them, in the order in which a shim usually grows."""
        done: list[str] = []

        def step(text: str) -> str:
            name = text.split(" ")[0]
            answer = self.try_call(text)
            if answer is None:
                raise _Missing(name, done)
            if not answer.startswith("ok"):
                raise Wrong(f"'{text}' failed with '{answer[:200]}', where nothing stands in its way")
            done.append(name)
            return answer

        listener = value_of(step("socket family=inet"), "handle", r"s-?\d+", "socket")
        step(f"bind {listener} address=inet:127.0.0.1:0")
        step(f"listen {listener} backlog=5")
        name = value_of(step(f"local_name {listener} name=valid,valid,256"), "name", LOCAL, "local_name")
        # Before there is anything to accept, so that it blocks; nothing else may wait for it.
        waiting = self.client.begin(f"accept {listener} peer=valid,valid,256")
        self.alive("accept")
        client = value_of(step("socket family=inet"), "handle", r"s-?\d+", "socket")
        step(f"connect {client} address={name.rpartition(',')[0]}")
        answer = self.client.end(waiting, "accept")
        if answer.startswith("not_implemented"):
            raise _Missing("accept", done)
        if not answer.startswith("ok"):
            raise Wrong(f"'accept' failed with '{answer[:200]}', though somebody connected")
        done.append("accept")
        server = value_of(answer, "handle", r"s-?\d+", "accept")
        value_of(answer, "peer", LOCAL, "accept")
        if len({listener, client, server}) != 3:
            raise Wrong(f"three open sockets have the handles {listener}, {client} and {server}")
        value_of(step(f"send {client} data=3:616263"), "value", "3", "send of three bytes")
        answer = step(f"recv {server} room=100")
        value_of(answer, "value", "3", "recv")
        value_of(answer, "data", "3:616263", "recv of 'abc'")
        waiting = self.client.begin(f"recv {server} room=100")
        self.alive("recv")
        step(f"shutdown {client} how=1")
        answer = self.client.end(waiting, "recv")
        if not re.fullmatch(r"ok( value=0| data=0:| flags=0)*", answer):
            raise Wrong(f"the end of the stream is 'ok value=0', and was '{answer[:200]}'")
        for handle in (server, client, listener):
            step(f"close {handle}")
        return "listen, connect, accept, three bytes, the end of the stream"

    def alive(self, blocked: str) -> None:
        """Whether it reads while a call blocks."""
        time.sleep(0.05)  # for a shim that cannot do two things at once, to get stuck in the first one
        try:
            self.client.ask("ping")
        except Wrong as wrong:
            raise Wrong(f"while '{blocked}' blocks it does not answer 'ping': a call that may block needs a thread of its own "
                        f"({wrong})") from None

    def refused(self) -> str:
        handle = value_of(self.made("socket family=inet"), "handle", r"s-?\d+", "socket")
        self.try_call(f"bind {handle} address=inet:127.0.0.1:0")
        name = value_of(self.made(f"local_name {handle} name=valid,valid,256"), "name", "inet:.*", "local_name")
        other = value_of(self.made("socket family=inet"), "handle", r"s-?\d+", "socket")
        answer = self.made(f"connect {other} address={name.rpartition(',')[0]}")
        if answer.split(" ")[0] != "ECONNREFUSED":
            self.tell(f"      note: a connect that nobody listens for gave '{answer[:100]}'; the suite will judge that")
        for each in (handle, other):
            self.try_call(f"close {each}")
        return "an error has a name"

    def watchers(self) -> str:
        able = []
        for mechanism in ("poll", "select", "epoll"):
            if mechanism not in self.can:
                continue
            made = self.try_call(f"watch_create mechanism={mechanism}")
            if made is None:
                raise Wrong(f"the greeting names {mechanism}, and 'watch_create mechanism={mechanism}' is not implemented")
            watcher = value_of(made, "handle", r"w-?\d+", "watch_create")
            handle = value_of(self.made("socket family=inet"), "handle", r"s-?\d+", "socket")
            self.try_call(f"bind {handle} address=inet:127.0.0.1:0")
            self.try_call(f"listen {handle} backlog=1")
            self.try_call(f"watch_add {handle} watcher={watcher} events=in cookie=7")
            start = time.monotonic()
            answer = self.made(f"watch_wait {watcher} timeout_ns=100000000 room=4")
            took = time.monotonic() - start
            if not re.fullmatch(r"ok( value=0)?", answer) or took < 0.09:
                raise Wrong(f"a {mechanism} of 0.1 s, with nothing to report, gave '{answer[:100]}' after {took:.3f} s")
            self.try_call(f"watch_close {watcher}")
            self.try_call(f"close {handle}")
            able.append(mechanism)
        return ", ".join(able) + ": a time-out is one" if able else "none in the greeting"

    def ends(self) -> str:
        handle = self.try_call("socket family=inet")
        if handle is not None and self.can & {"threads"}:
            listener = value_of(handle, "handle", r"s-?\d+", "socket")
            self.try_call(f"bind {listener} address=inet:127.0.0.1:0")
            self.try_call(f"listen {listener} backlog=1")
            self.client.begin(f"accept {listener}")
        if not self.client.close():
            raise Wrong("its input ended, with a call under way, and a second later it was still there")
        return "it leaves when its input ends"


class _Missing(Exception):
    def __init__(self, operation: str, done: list[str]) -> None:
        worked = f"; what worked: {', '.join(dict.fromkeys(done))}" if done else ""
        super().__init__(f"'{operation}' is not implemented here{worked}")


def check(where: str, tell: Callable[[str], None], verbose: bool = False) -> bool:
    """Talks to the shim at `where`, tells each finding as a line. True when nothing is wrong."""
    try:
        examination = _Examination(where, tell, verbose)
    except Wrong as wrong:
        tell(f"WRONG greeting: {wrong}")
        return False
    complete = True  # it can do what the later steps stand on
    for name, step, stands_on in (
            ("greeting", examination.greeting, False), ("an unknown operation", examination.unknown_operation, False),
            ("a connection", examination.connection, False), ("a refusal", examination.refused, True),
            ("readiness", examination.watchers, True), ("the end", examination.ends, False)):
        if stands_on and not complete:
            continue
        try:
            tell(f"ok    {name}: {step()}")
        except _Missing as missing:
            complete = complete and name != "a connection"
            tell(f"-     {name}: {missing}")
        except Wrong as wrong:
            tell(f"WRONG {name}: {wrong}")
            examination.client.close()
            return False
    return True
