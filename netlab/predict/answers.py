"""Whether an answer comes back to who asked, and why it does not."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.journey.evidence import ProbeResult
from netlab.predict.host import Namespace
from netlab.predict.packet import Packet
from netlab.predict.routes import RouteEntry
from netlab.predict.stack import Trip


@dataclass(frozen=True, slots=True)
class Asked:
    """A connection's first packet, where it starts, and the route that it takes."""

    space: Namespace
    packet: Packet
    route: RouteEntry
    by_hand: bool = False


def arrives(back: Trip, asked: Asked) -> bool:
    """Whether an answer comes to the socket that asked: same namespace, the addresses turned round.

    A packet socket sees it before every hook and the routing of its namespace.
    """
    answer, packet = back.packet, asked.packet
    if back.fate != "delivered" and not asked.by_hand:
        return False
    if _own(back, asked) and back.fate != "delivered":
        return False  # what it sends itself is no answer that comes to it
    return back.space is asked.space and (
        (answer.src, answer.dst) == (packet.dst, packet.src)
        and ((answer.sport, answer.dport) == (packet.dport, packet.sport) or answer.is_icmp)
    )


def _own(back: Trip, asked: Asked) -> bool:
    """Whether the packet that was made by hand came to its own sender, which answers it."""
    return asked.by_hand and bool(back.forth) and back.forth[0].node == asked.space.name


def answer_lost(asked: Asked, back: Trip, result: ProbeResult) -> None:
    """Note why an answer is lost, if no rule dropped it."""
    if back.fate == "delivered" and _own(back, asked) and back.space is not None:
        result.silence = f"{back.space.name} has the source address, and took the answer itself"
        result.lost_in = back.space.name
    if back.fate not in ("lost", "error"):
        return
    probe, end = result, back.forth[-1] if back.forth else None
    probe.route, probe.answer_turned_away = back.route or None, bool(back.route)
    probe.silence, probe.lost_in = back.why, end.node if end else None
    if asked.by_hand and end is not None and end.hook == "postrouting" and back.space is not None:
        out = next((name for name, index in back.space.indexes.items() if index == end.oif), "?")
        probe.silence = f"{end.node} sent the answer out by {out}, and found no neighbour there to take it"
