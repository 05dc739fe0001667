"""Send nonsense to the control socket of a running lab: the lab answers, keeps nothing, and stays.

::

    python tests/fuzz/control_fuzz.py 10000 [SEED]

Each connection sends a few messages: requests with a part replaced or dropped, octets that are not JSON,
messages cut short, descriptors that nobody asked for. After every hundred the lab must answer `status`, hold
no more descriptors than before and have written no traceback. Prints a line for every thousand connections;
exit code 1 and the seed at the first fault.
"""

from __future__ import annotations

import json
import os
import random
import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from netlab.kernel.channel import MAX_FDS, Channel, Disconnected
from netlab.lab.lab import Lab

SEED_FILE = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
#: Requests as clients send them, but `down`, and nothing that would start a program that exists.
REQUESTS: tuple[dict[str, Any], ...] = (
    {"op": "status"},
    {"op": "namespaces", "nodes": ["host", "client"]},
    {"op": "enter", "node": "host"},
    {"op": "enter", "node": None},
    {"op": "pairs", "node": "host", "since": 0},
    {"op": "signal", "pid": 1, "signal": 15},
    {"op": "commit", "detach": True},
    {"op": "build", "name": "x", "path": "/nonexistent", "record": {}},
    {"op": "change", "record": {}, "plan": 1},
    {"op": "spawn", "node": "host", "argv": ["/nonexistent"], "env": {}, "cwd": "/", "module": None},
    {"op": "spawn", "node": "no-such-node", "argv": [], "env": None},
)
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1 << 70, 1e300, "", "x" * 5000, "\x00", "\ud800", "../../etc", ".", "host/../client",
    [], {}, [[]], {"a": {}}, ["host"] * (MAX_FDS + 1), "down\n", "__class__", "_drop",
)  # fmt: skip
#: A message of so many octets without an end is more than a client may send.
ENDLESS = 5 << 20


def message_of(choose: random.Random) -> bytes:
    """One message, mostly a request that has something wrong with it."""
    kind = choose.random()
    if kind < 0.1:
        return choose.randbytes(choose.randrange(1, 200)) + b"\n" * choose.randrange(2)
    if kind < 0.12:
        return b"[" * 100_000 + b"\n"
    if kind < 0.13:
        return b"x" * ENDLESS
    request = dict(choose.choice(REQUESTS))
    for _ in range(choose.randrange(3)):
        key = choose.choice([*request, "fds", "event"])
        if choose.random() < 0.2:
            request.pop(key, None)
        else:
            request[key] = choose.choice(VALUES)
    text = json.dumps(request).encode()
    return text[: choose.randrange(len(text))] if choose.random() < 0.1 else text + b"\n"


def connect(lab: Lab) -> socket.socket:
    """A connection of the lab's own user."""
    sock = lab.client.connect().sock
    sock.settimeout(20)
    return sock


def attack(lab: Lab, choose: random.Random) -> str:
    """One connection; how it ended."""
    with connect(lab) as sock:
        try:
            for _ in range(choose.randrange(1, 5)):
                data = message_of(choose)
                if choose.random() < 0.1:
                    with open(os.devnull, "rb") as null:
                        fds = [null.fileno()] * choose.randrange(1, 20)
                        socket.send_fds(sock, [data[:1]], fds)
                    data = data[1:]
                sock.sendall(data)
            if choose.random() < 0.5:
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(1 << 16):
                    pass
                return "read to its end"
        except (BrokenPipeError, ConnectionResetError):
            return "closed by the lab"
    return "left"


def healthy(lab: Lab, descriptors: int, log: Path) -> str:
    """What is wrong with the lab; empty if nothing is."""
    with connect(lab) as sock:
        channel = Channel(sock)
        try:
            channel.send({"op": "status"})
            while (found := channel.take()) is None:
                channel.fill()
        except (Disconnected, TimeoutError) as error:
            return f"no status: {error!r}"
        if found[0].get("event") != "status":
            return f"status says {found[0]}"
    now = held(lab)
    if now > descriptors + 2:  # the connection that has just ended, and the next
        return f"{now} descriptors, {descriptors} before"
    if "Traceback" in log.read_text(errors="replace"):
        return "a traceback in the lab's log"
    return ""


def held(lab: Lab) -> int:
    """How many descriptors the supervisor holds."""
    return len(os.listdir(f"/proc/{lab.client.record['pid']}/fd"))


def run(count: int, seed: int) -> str:
    """Attack one lab with so many connections; the first fault, or the empty text."""
    choose = random.Random(seed)
    with Lab(SEED_FILE) as lab:
        log = Path(lab.client.path) / "log"
        healthy(lab, 1 << 20, log)
        before = held(lab)
        ends: Counter[str] = Counter()
        for number in range(1, count + 1):
            ends[attack(lab, choose)] += 1
            if number % 100 == 0 or number == count:
                fault = healthy(lab, before, log)
                if fault:
                    return f"after {number} connections of seed {seed}: {fault}"
            if number % 1000 == 0:
                print(f"{number} connections: {dict(ends)}", flush=True)
        journey = lab.probe("client -> host:80", family=4)
        return "" if journey.outcome == "ok" else f"the lab's port is {journey.outcome} in the end"


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:]]
    failure = run(
        numbers[0] if numbers else 1000, numbers[1] if len(numbers) > 1 else random.randrange(1 << 30)
    )
    if failure:
        sys.exit(failure)
