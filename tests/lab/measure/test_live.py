"""Other programs' traffic is reported as journeys, a proxy's connection under its client's."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import netlab
from netlab.journey.sentence import icmp_words
from netlab.kernel.netns import entered
from netlab.measure.live import Live, Seen
from netlab.measure.worker import ProxyEnds
from netlab.model.journey import Icmp

SEED = str(Path(__file__).parents[3] / "scenarios" / "httpd.yaml")


def ask(lab: netlab.Lab, node: str, address: str, port: int) -> None:
    """Connect, ask, read to the end: whatever comes of it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with entered(lab.namespaces[node]), socket.socket(family) as sock:
        sock.settimeout(60)
        if sock.connect_ex((address, port)) == 0:
            sock.sendall(b"GET /x HTTP/1.0\r\n\r\n")
            while sock.recv(4096):
                pass


def test_journeys_of_others() -> None:
    with netlab.Lab(SEED, name=f"live-{os.getpid()}") as lab:

        def pairs(node: str, since: int) -> list[ProxyEnds]:
            return [ProxyEnds.of(*pair[1:]) for pair in lab.client.pairs(node, since)[0]]

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
    assert all(one.paths.forth for one in seen)


REJECTING = """
services:
  web: {image: nginx, ports: ["8080:80/udp"]}
x-netlab:
  host: {engine: docker-20.10, addresses: [198.51.100.1/24, "2001:db8:1::1/64"]}
  rules:
    - iptables -I DOCKER-USER -p tcp -j REJECT --reject-with icmp-host-prohibited
    - ip6tables -I INPUT -p tcp --dport 82 -j REJECT --reject-with icmp6-adm-prohibited
"""
REJECTED = {
    # (address, port, kind): outcome, path, what the error says, the chain that rejected it
    ("172.18.0.2", 81, socket.SOCK_STREAM): ("forward", Icmp(3, 10, "198.51.100.1"), "DOCKER-USER"),
    ("2001:db8:1::1", 82, socket.SOCK_STREAM): ("local", Icmp(1, 1, "2001:db8:1::1"), "INPUT"),
    ("198.51.100.1", 83, socket.SOCK_DGRAM): ("local", Icmp(3, 3, "198.51.100.1"), None),
    ("2001:db8:1::1", 84, socket.SOCK_DGRAM): ("local", Icmp(1, 4, "2001:db8:1::1"), None),
    ("203.0.113.9", 85, socket.SOCK_DGRAM): ("none", Icmp(3, 0, "198.51.100.1"), None),
}


def test_a_rejection_is_reported_with_its_type_code_and_sender(tmp_path: Path) -> None:
    """Rejected by a rule of either family, by a socket that is not there, by the routing table."""
    file = tmp_path / "rejecting.yaml"
    file.write_text(REJECTING)
    with netlab.Lab(str(file), name=f"reject-{os.getpid()}") as lab, Live(lab.namespaces, lab.plan) as live:
        for address, port, kind in REJECTED:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with entered(lab.namespaces["client"]), socket.socket(family, kind) as sock:
                sock.settimeout(60)
                sock.connect_ex((address, port))
                if kind == socket.SOCK_DGRAM:
                    sock.send(b"hello")
        seen: list[Seen] = []
        until = time.monotonic() + 30
        for one in live.watch(lambda: len(seen) >= len(REJECTED) or time.monotonic() > until):
            seen.append(one)
        found = {one.journey.flow.dst.rpartition(":")[2]: one for one in seen}
        for (_, port, _), (path, icmp, chain) in REJECTED.items():
            journey = found[str(port)].journey
            assert (journey.outcome, journey.path, journey.icmp) == ("unreachable", path, icmp)
            assert journey.decided_by.chain == chain
            notes = [packet.note for packet in live.packets(found[str(port)]) if packet.note]
            assert f"answered with {icmp_words(icmp)}" in notes
            assert icmp_words(icmp) in notes
