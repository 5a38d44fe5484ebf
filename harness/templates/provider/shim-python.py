"""@NAME@ as a provider of sockproof. sockproof_shim.py speaks the protocol; here the operations become calls of your stack.

Everything is 'not supported' until a function below does something else. From top to bottom is a good order: each opens scenarios
that stand on the ones before it.

    ./sockproof shim-check 'python3 @NAME@.py'     # does it keep to the protocol, and how far does it come?
    ./sockproof run @NAME@.toml                    # what is right, what is wrong, what is missing, area by area
"""

from typing import Any

from sockproof_shim import CannotSay, Words, need, serve

# What it can do: inet inet6 dual_stack unix_stream udp poll select epoll threads handle_count ... (docs/shim-protocol.md has all).
CAPABILITIES = "inet threads"
sockets: dict[int, Any] = {}  # yours, by the number that you gave out in handle=sNUMBER


# Each gets the socket, the words of the operation and its data, and gives the answer: "ok ...". An error of the stack is an answer
# too, "ECONNREFUSED native=61"; so is an OSError that is raised. What cannot be said: raise CannotSay("why").

def new_socket(words: Words) -> str:
    # family=inet, type=1 for a stream (if it is not said), 2 for datagrams.
    #   number = max(sockets, default=2) + 1
    #   sockets[number] = mystack.socket()
    #   return f"ok handle=s{number}"
    raise CannotSay("socket is not written yet")


def bind(socket: Any, words: Words, data: list[str]) -> str:
    # address=inet:127.0.0.1:0; sockproof_shim.native(words["address"]) makes ("127.0.0.1", 0) of it.
    raise CannotSay("bind is not written yet")


def listen(socket: Any, words: Words, data: list[str]) -> str:
    # backlog=5, passed on as it is.
    raise CannotSay("listen is not written yet")


def local_name(socket: Any, words: Words, data: list[str]) -> str:
    # return "ok" + sockproof_shim.named("name", words, ("127.0.0.1", 4711))
    raise CannotSay("local_name is not written yet")


def connect(socket: Any, words: Words, data: list[str]) -> str:
    raise CannotSay("connect is not written yet")


def accept(socket: Any, words: Words, data: list[str]) -> str:
    # It blocks until there is a connection; then "ok handle=sN" + named("peer", words, its address).
    raise CannotSay("accept is not written yet")


def send(socket: Any, words: Words, data: list[str]) -> str:
    # data[0] is "3:616263"; bytes.fromhex(data[0].partition(":")[2]). "ok value=3": so many were taken.
    raise CannotSay("send is not written yet")


def recv(socket: Any, words: Words, data: list[str]) -> str:
    # room=4096. "ok value=3 data=3:616263"; the end of the stream is "ok value=0".
    raise CannotSay("recv is not written yet")


def shutdown(socket: Any, words: Words, data: list[str]) -> str:
    # how=0 reading, 1 writing, 2 both.
    raise CannotSay("shutdown is not written yet")


def close(socket: Any, words: Words, data: list[str]) -> str:
    raise CannotSay("close is not written yet")


def peer_name(socket: Any, words: Words, data: list[str]) -> str:
    raise CannotSay("peer_name is not written yet")


def set_mode(socket: Any, words: Words, data: list[str]) -> str:
    # set=nonblocking or clear=nonblocking.
    raise CannotSay("set_mode is not written yet")


def get_option(socket: Any, words: Words, data: list[str]) -> str:
    # option=SO_ERROR: "ok error=ECONNREFUSED reported=4", "ok error=ok reported=4" if there is none.
    raise CannotSay("get_option is not written yet")


def set_option(socket: Any, words: Words, data: list[str]) -> str:
    raise CannotSay("set_option is not written yet")


# Next: watch_create, watch_add, watch_modify, watch_remove, watch_wait, watch_close (poll), which most of the rest stands on.
OPERATIONS = {each.__name__: each for each in (bind, listen, local_name, connect, accept, send, recv, shutdown, close, peer_name,
                                               set_mode, get_option, set_option)}


def perform(operation: str, handle: str, words: Words, data: list[str]) -> str:
    if operation == "socket":
        return new_socket(words)
    need(operation in OPERATIONS, f"there is no {operation} yet")
    need(handle[:1] == "s" and int(handle[1:]) in sockets, f"there is no socket {handle}")
    return OPERATIONS[operation](sockets[int(handle[1:])], words, data)


serve("@NAME@", CAPABILITIES, perform)
