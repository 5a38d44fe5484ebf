"""The shim of Python with a condition function in accept, in the manner of WSAAccept: over sockets that know nothing of it."""

import errno
import socket
import struct

import shim
from sockproof_shim import Words, ask, named, serve


def perform(op: str, on: str, words: Words, data: list[str]) -> str:
    if op != "accept" or "condition" not in words:
        return shim.perform(op, on, words, data)
    listener = shim.sockets[int(on[1:])]
    made, peer = listener.accept()
    callee = named("callee", {"callee": "valid,valid,256"}, made.getsockname()).rpartition(",")[0]
    caller = named("caller", {"caller": "valid,valid,256"}, peer).rpartition(",")[0]
    said = ask(f"same_thread=1{caller}{callee} caller_length=16 callee_length=16 callback_data={words.get('callback_data', 0)}")
    if said.split()[0] == "accept":
        return shim.new(made, set()) + named("peer", words, peer)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    made.close()
    raise OSError(errno.ECONNREFUSED, "rejected")


serve("conditional", "inet condition poll select epoll threads", perform)
