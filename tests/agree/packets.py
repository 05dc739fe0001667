"""Random packets: the flows that are asked of a random host."""

from __future__ import annotations

import random

from agree.values import PORTS

_ORIGINS = ("client", "client", "neighbour", "host", "web", "db", "api")
_TARGETS = ("host", "host", "host", "web", "db", "api", "client", "neighbour", "localhost", "gateway")
#: addresses to which somebody else than their owner is sent the frame: mostly not on the host's links
_STRANGE = ("198.51.100.255", "203.0.113.9", "[2001:db8:9::9]", "127.0.0.1", "web", "api", "neighbour", "db")
_FORGED = ("203.0.113.9", "198.51.100.77", "172.18.0.99", "2001:db8:1::77", "10.1.2.3")
#: A kernel sends one sender only so many errors about missing routes (ip_error, net.ipv4.route.error_burst).
_MOST_UNROUTED = 4


def questions(chance: random.Random, count: int) -> list[str]:
    """So many flows as one writes them, all different."""
    found: dict[str, None] = {}
    unrouted = 0
    while len(found) < count:
        text = _strange(chance) if chance.random() < 0.25 else _plain(chance)
        unrouted += "203." in text or "2001:db8:9" in text
        if unrouted <= _MOST_UNROUTED or not ("203." in text or "2001:db8:9" in text):
            found[text] = None
    return list(found)


def _wanted(chance: random.Random, *protocols: str) -> str:
    protocol = chance.choice(protocols)
    return f"/{protocol}" if protocol == "icmp" else f":{chance.choice(PORTS)}/{protocol}"


def _plain(chance: random.Random) -> str:
    origin = chance.choice(_ORIGINS)
    target = chance.choice(_TARGETS)
    if target == "gateway" and origin not in ("web", "db", "api"):
        target = "host"
    return f"{origin} -> {target}{_wanted(chance, 'tcp', 'tcp', 'tcp', 'udp', 'udp', 'icmp')}"


def _strange(chance: random.Random) -> str:
    """A packet made by hand: sent to the host's MAC address, perhaps with a source that is not its own."""
    origin = chance.choice(("client", "neighbour", "api"))
    text = f"{origin} -> {chance.choice([one for one in _STRANGE if one != origin])}"
    text += _wanted(chance, "tcp", "tcp", "udp", "icmp") + " via host"
    return text + (f" from {chance.choice(_FORGED)}" if chance.random() < 0.3 else "")
