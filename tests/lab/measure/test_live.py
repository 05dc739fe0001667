"""Traffic that somebody else makes is told as journeys, a proxy's connection under its client's."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import netlab
from netlab.kernel.netns import entered
from netlab.measure.live import Live, Seen
from netlab.measure.worker import Pair

SEED = str(Path(__file__).parents[3] / "scenarios" / "httpd.yaml")


def ask(lab: netlab.Lab, node: str, address: str, port: int) -> None:
    """Connect, ask, read to the end: whatever comes of it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with entered(lab.namespaces[node]), socket.socket(family) as sock:
        sock.settimeout(5)
        if sock.connect_ex((address, port)) == 0:
            sock.sendall(b"GET /x HTTP/1.0\r\n\r\n")
            while sock.recv(4096):
                pass


def test_journeys_of_others() -> None:
    with netlab.Lab(SEED, name=f"live-{os.getpid()}") as lab:

        def pairs(node: str, since: int) -> list[Pair]:
            return [Pair.of(*pair[1:]) for pair in lab.client.pairs(node, since)[0]]

        with Live(lab.namespaces, lab.plan, pairs=pairs) as live:
            assert set(live.tables) == {"host"}
            ask(lab, "client", "198.51.100.1", 80)
            ask(lab, "client", "2001:db8:1::1", 80)
            ask(lab, "client", "198.51.100.1", 9)
            seen: list[Seen] = []
            until = time.monotonic() + 20
            for one in live.watch(lambda: len(seen) >= 3 or time.monotonic() > until):
                seen.append(one)
            assert live.faults == 0
    journeys = sorted((one.journey for one in seen), key=lambda journey: journey.path)
    assert [(j.flow.origin, j.flow.family, j.outcome, j.path) for j in journeys] == [
        ("client", "ipv4", "ok", "forward"),
        ("client", "ipv4", "refused", "local"),
        ("client", "ipv6", "ok", "proxy"),
    ]
    assert [leg.letters for leg in journeys[2].legs] == ["PI", "OS"]
    assert all(one.ways.forth for one in seen)
