"""Python's socket and select as a provider of sockproof. sockproof_shim.py speaks the protocol."""

import errno
import fcntl
import os
import platform
import select
import socket
import struct
import termios
import threading

from sockproof_shim import Words, named, native, need, serve

FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6, "unix": socket.AF_UNIX}
TYPES = {1: socket.SOCK_STREAM, 2: socket.SOCK_DGRAM, 3: socket.SOCK_SEQPACKET}
LEVELS = {"SO": socket.SOL_SOCKET, "IP": socket.IPPROTO_IP, "IPV6": socket.IPPROTO_IPV6, "TCP": socket.IPPROTO_TCP}
FLAGS = {name: getattr(socket, "MSG_" + name.upper()) for name in
         ("peek", "oob", "dontwait", "waitall", "nosignal", "trunc", "ctrunc", "more", "eor", "dontroute")}
EVENTS = {name: getattr(select, "POLL" + name.upper()) for name in
          ("in", "out", "pri", "err", "hup", "nval", "rdhup", "rdnorm", "rdband", "wrnorm", "wrband")}
REQUESTS, MODES = {0: termios.FIONREAD, 1: termios.TIOCOUTQ, 2: 0x8905}, {"nonblocking", "cloexec"}  # 0x8905: SIOCATMARK
KNOWN = set("form type family protocol modes backlog how option integer linger duration_ns flags room data events cookie mechanism "
            "timeout_ns onto set clear watcher request of address to from peer name".split())
sockets: dict[int, socket.socket] = {}  # the closed ones too: Python itself says what they are
watchers, making = dict[int, "Watcher"](), threading.Lock()


def new(made: socket.socket, modes: set[str]) -> str:
    need(modes <= MODES)
    made.setblocking("nonblocking" not in modes and made.getblocking())
    sockets[made.fileno()] = made  # close-on-exec is what Python gives all of them
    return f"ok handle=s{made.fileno()}"


class Watcher:
    """What is watched is kept here: select takes lists, and a poll object is no list of entries."""

    def __init__(self, mechanism: str) -> None:
        need(mechanism in ("poll", "select", "epoll"))
        self.entries: dict[int, tuple[set[str], str]] = {}
        self.epoll = select.epoll() if mechanism == "epoll" else None
        self.select = mechanism == "select"

    def change(self, op: str, s: socket.socket, events: set[str], flags: int, cookie: str) -> None:
        if self.epoll and op == "watch_remove":
            self.epoll.unregister(s)
        elif self.epoll:
            change = self.epoll.register if op == "watch_add" else self.epoll.modify
            change(s, sum(EVENTS[name] for name in events) | (flags & 1) << 31 | (flags & 2) << 29 | (flags & 4) << 26)
        else:
            need(flags == 0 and s.fileno() >= 0 and (op != "watch_add" or s.fileno() not in self.entries), "it knows a socket once")
            need(not self.select or events <= {"in", "out", "pri"}, "select has three sets")
        self.entries[s.fileno()] = events, cookie
        if op == "watch_remove":
            del self.entries[s.fileno()]

    def wait(self, timeout: float | None, room: int) -> str:
        entries = dict(self.entries)
        if self.select:
            sets = ("in", "out", "pri")
            got = select.select(*([fd for fd in entries if name in entries[fd][0]] for name in sets), timeout)
            count, found = sum(map(len, got)), [(fd, {name for name, fds in zip(sets, got) if fd in fds}) for fd in entries]
        else:
            poll = select.poll()
            for fd in () if self.epoll else entries:
                poll.register(fd, sum(EVENTS[name] for name in entries[fd][0]))
            bits = self.epoll.poll(timeout, room) if self.epoll else poll.poll(None if timeout is None else timeout * 1000)
            count, found = len(bits), [(fd, {name for name in EVENTS if EVENTS[name] & mask}) for fd, mask in bits]
        return f"ok value={count}" + "".join(f" event={entries[fd][1]},{'|'.join(names)},ok" for fd, names in found if names)


def option(op: str, s: socket.socket, words: Words) -> str:
    name = words["option"]
    odd = {"UNKNOWN_OPTION": (socket.SOL_SOCKET, 9999), "UNKNOWN_LEVEL": (9999, 1)}
    need(name in odd or hasattr(socket, name) and "MEMBERSHIP" not in name and "CONGESTION" not in name)
    key = odd.get(name) or (LEVELS[name.partition("_")[0]], getattr(socket, name))
    form = "ii" if name == "SO_LINGER" else "ll" if name.endswith("TIMEO") else "i"
    if op == "get_option":
        value = struct.unpack(form, s.getsockopt(*key, struct.calcsize(form)))
        said = f"integer={value[0]} reported=4"
        if name == "SO_ERROR":
            said = f"error={errno.errorcode.get(value[0], 'UNKNOWN') if value[0] else 'ok'} native={value[0]} reported=4"
        elif name in ("SO_TYPE", "SO_DOMAIN"):
            neutral = {2: 1, 10: 2, 1: 3} if name == "SO_DOMAIN" else {int(mine): number for number, mine in TYPES.items()}
            said = f"integer={neutral[value[0]]} reported=4"
        return "ok " + {"ii": f"linger={value[0]},{value[-1]} reported=8", "i": said,
                        "ll": f"duration_ns={value[0] * 10**9 + value[-1] * 1000} reported=16"}[form]
    if form == "i":
        s.setsockopt(*key, int(words["integer"]))
    elif form == "ii":
        s.setsockopt(*key, struct.pack("ii", *map(int, words["linger"].split(","))))
    else:
        need(0 <= int(words["duration_ns"]) < 1 << 62)
        s.setsockopt(*key, struct.pack("ll", int(words["duration_ns"]) // 10**9, int(words["duration_ns"]) % 10**9 // 1000))
    return "ok"


def transfer(op: str, s: socket.socket, words: Words, data: list[str], flags: int) -> str:
    form = int(words.get("form", 0))
    need(not flags or form in (0, 2, 3))
    if op == "send":
        parts = [bytes.fromhex(piece.partition(":")[2]) for piece in data]
        to = (native(words["to"]),) if "to" in words else ()
        need((len(parts) == 1 or form > 2) and (form or not to))
        if form in (0, 2):
            return f"ok value={s.sendto(parts[0], flags, *to) if to else s.send(parts[0], flags)}"
        return f"ok value={s.sendmsg(parts, [], flags, *to) if form == 3 else os.writev(s.fileno(), parts)}"
    sizes = [int(size) for size in words["room"].split(",")]
    need(len(sizes) == 1 or form > 2)
    buffers, sender, seen = [bytearray(size) for size in sizes], None, 0
    if form == 0:
        buffers = [s.recv(sizes[0], flags)]
        got = len(buffers[0])
    elif form == 2:
        got, sender = s.recvfrom_into(buffers[0], 0, flags)
    elif form == 3:
        got, _, seen, sender = s.recvmsg_into(buffers, 0, flags)
    else:
        got = os.readv(s.fileno(), buffers)
    whole = b"".join(buffers)[:min(got, sum(sizes))]  # with MSG_TRUNC, recv returns more bytes than it was given room for
    return (f"ok value={got}" + f" data={len(whole)}:{whole.hex()}" * bool(whole) + named("from", words, sender)
            + " flags=" + ("|".join(name for name in FLAGS if seen & FLAGS[name]) or "0"))


def perform(op: str, on: str, words: Words, data: list[str]) -> str:
    need(set(words) <= KNOWN, "it does not know every word of this")
    bits = {key: set(words.get(key, "0").split("|")) - {"0"} for key in ("modes", "set", "clear", "events", "flags")}
    for key in ("peer", "name", "from"):
        named(key, words)
    if op in ("socket", "socketpair"):
        what = FAMILIES[words["family"]], TYPES[int(words.get("type", 1))], int(words.get("protocol", 0))
        if op == "socket":
            return new(socket.socket(*what), bits["modes"])
        pair = [new(each, bits["modes"]) for each in socket.socketpair(*what)]
        return pair[0] + pair[1].replace("ok handle", " second")
    if op == "watch_create":
        need(not bits["modes"])
        with making:
            number = max(watchers, default=0) + 1
            watchers[number] = Watcher(words["mechanism"])
        return f"ok handle=w{number}"
    if op == "watch_wait":
        timeout, room = int(words.get("timeout_ns", -1)), int(words["room"])
        need(room > 0)
        return watchers[int(on[1:])].wait(None if timeout < 0 else timeout / 1e9, room)
    if op == "watch_close":
        gone = watchers.pop(int(on[1:]))
        if gone.epoll:
            gone.epoll.close()
        return "ok"
    if op == "open_handles":
        return f"ok value={sum(s.fileno() >= 0 for s in [*sockets.values()]) + len(watchers)}"
    need(on[:1] == "s" or on == "invalid", f"no {op} of {on}")
    s = sockets[int(on[1:])] if on[1:].isdigit() else socket.socket()
    s.close() if on == "invalid" else None
    closed = s.fileno() < 0
    if op in ("watch_add", "watch_modify", "watch_remove"):
        watchers[int(words["watcher"][1:])].change(op, s, bits["events"], int(words.get("flags", 0)), words.get("cookie", "0"))
    elif op in ("bind", "connect"):
        getattr(s, op)(native(words["address"]))
    elif op == "listen":
        s.listen(int(words.get("backlog", 0)))
    elif op == "accept":
        need(not bits["modes"] and "form" not in words, "Python chooses between accept and accept4 itself")
        made, peer = s.accept()
        return new(made, set()) + named("peer", words, peer)
    elif op in ("send", "recv"):
        return transfer(op, s, words, data, sum(FLAGS[flag] for flag in bits["flags"]))
    elif op == "shutdown":
        s.shutdown(int(words.get("how", -1)))
    elif op == "close":
        need(not closed, "to close a closed socket object is no call")
        s.close()
    elif op in ("get_option", "set_option"):
        return option(op, s, words)
    elif op in ("local_name", "peer_name"):
        return "ok" + named("name", words, s.getsockname() if op == "local_name" else s.getpeername())
    elif op == "ioctl":
        request = REQUESTS[int(words.get("request", 0))]
        return f"ok value={int.from_bytes(fcntl.ioctl(s.fileno(), request, bytes(4)), 'little')}"
    elif op == "set_mode":
        need(bits["set"] | bits["clear"] <= MODES and not closed)
        if "nonblocking" in bits["set"] | bits["clear"]:
            s.setblocking("nonblocking" in bits["clear"])
        if "cloexec" in bits["set"] | bits["clear"]:
            s.set_inheritable("cloexec" in bits["clear"])
    elif op == "get_mode":
        need(not closed, "Python keeps the mode of a closed socket object")
        return f"ok value={(not s.getblocking()) + 2 * (not s.get_inheritable())}"
    else:
        need(op == "duplicate" and "onto" not in words, f"no {op} in Python")
        return new(s.dup(), bits["modes"])
    return "ok"


if __name__ == "__main__":
    serve(f"python-{platform.python_version()}", "inet inet6 dual_stack unix_stream unix_seqpacket unix_datagram udp poll select "
          "epoll abstract_names threads handle_count", perform)
