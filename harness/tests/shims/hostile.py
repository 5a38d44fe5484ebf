"""A shim that lies: it answers as one does that has a stack, until a chosen operation; then it does what the mode says.

hostile.py MODE [OPERATION]. It has no sockets at all: what is tested is who listens to it."""

import os
import signal
import sys
import time

MODE = sys.argv[1]
AT = sys.argv[2] if len(sys.argv) > 2 else "bind"
GREETINGS = {"version": "sockproof-shim 2 hostile inet", "nonsense-greeting": "hello", "two-words": "sockproof-shim 1",
             "capability": "sockproof-shim 1 hostile inet signals"}
LINES = {"no-number": "hello world", "unknown-number": "999 ok", "number-not-given-yet": "-1 ok", "twice": "{0} ok\n{0} ok",
         "no-such-error": "{0} EFOO", "unknown-word": "{0} ok colour=red", "no-form": "{0} ok value=many", "empty": "",
         "only-number": "{0}", "watcher-for-a-socket": "{0} ok handle=w3", "no-handle": "{0} ok",
         "invalid-handle": "{0} ok handle=invalid", "less-data": "{0} ok value=5 data=2:6162",
         "more-data": "{0} ok value=300 data=300:" + "61" * 300,
         "other-length": "{0} ok value=2 data=3:6162", "asks": "{0} ask same_thread=1", "no-address": "{0} ok name=nowhere,16",
         "binary": "\x00\xff\x07{0} ok", "carriage-return": "{0} ok\r"}
made = 2


def say(text: str) -> None:
    data = (text + "\n").encode("latin1")
    while data:
        data = data[os.write(1, data):]


def misbehave(number: str) -> None:
    if MODE in LINES:
        say(LINES[MODE].format(number))
    elif MODE == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif MODE == "exit":
        os._exit(3)
    elif MODE == "torn":
        os.write(1, f"{number} ok hand".encode())
        os._exit(0)
    elif MODE == "closes":
        os.close(1)
        time.sleep(100)
    elif MODE == "stalls":
        time.sleep(100)
    elif MODE == "floods-a-line":
        os.write(1, f"{number} ok value=".encode())
        while True:
            os.write(1, b"1" * 65536)
    elif MODE == "floods-lines":
        while True:
            say(f"{number} ok")
    elif MODE == "floods-errors":
        while True:
            os.write(2, b"nonsense\n" * 8192)
    elif MODE == "leaves-a-child":
        if os.fork() == 0:
            time.sleep(100)
        os._exit(0)


say(GREETINGS.get(MODE, "sockproof-shim 1 hostile inet inet6 unix_stream threads"))
if MODE == "closes-at-once":
    os._exit(7)
for line in sys.stdin:
    number, op, *_ = line.split()
    if op == AT:
        misbehave(number)
    elif op in ("socket", "accept"):
        made += 1
        say(f"{number} ok handle=s{made}")
    elif op in ("local_name", "peer_name"):
        say(f"{number} ok name=inet:127.0.0.1:1,16")
    elif op in ("ping", "fly", "blocked"):
        say(f"{number} not_implemented")
    else:
        say(f"{number} ok" + (" value=1" if op == "send" else ""))
if MODE == "never-leaves":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(100)
