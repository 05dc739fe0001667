"""Conntrack and NAT of one namespace: a flow's connection, its two tuples, and what they make of a packet.

Source: nf_conntrack_in, nf_nat_inet_fn, nf_nat_packet and nf_nat_icmp_reply_translation of Linux 6.18.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final, Literal

from netlab.journey.headers import TCP
from netlab.predict.packet import ACK, ECHO, RST, SYN, Packet
from netlab.predict.rules import CT_STATES, CT_STATUS
from netlab.predict.xt_matches import DNAT_STATE, SNAT_STATE

Side = Literal["src", "dst"]
#: protocol, source address and port, destination address and port
Tuple = tuple[int, int, int, int, int]
_BITS: Final = {"src": CT_STATUS["snat"], "dst": CT_STATUS["dnat"]}


@dataclass(slots=True)
class Connection:
    """An entry of conntrack: ``reply`` is what an answer will look like, which NAT changes.

    ``bound`` are the sides that NAT has decided about.
    """

    original: Tuple
    reply: Tuple
    status: int = 0
    mark: int = 0
    answered: bool = False
    bound: set[Side] = field(default_factory=set)


@dataclass(slots=True)
class Tracked:
    """A packet's part in a connection: its direction, and the state that rules ask for.

    Without a connection, ``state`` is ``invalid`` or ``untracked``.
    """

    connection: Connection | None
    reply: bool = False
    state: Literal["new", "established", "related", "invalid", "untracked"] = "invalid"

    @property
    def bits(self) -> int:
        """The state as a bit."""
        return CT_STATES[self.state]

    @property
    def xt_bits(self) -> int:
        """The state as -m conntrack asks for it: with bits for SNAT and DNAT."""
        found = CT_STATES[self.state]
        status = self.connection.status if self.connection is not None else 0
        return (
            found
            | (SNAT_STATE if status & _BITS["src"] else 0)
            | (DNAT_STATE if status & _BITS["dst"] else 0)
        )


def _invert(one: Tuple) -> Tuple:
    protocol, src, sport, dst, dport = one
    return protocol, dst, dport, src, sport


def tuple_of(packet: Packet) -> Tuple:
    """A packet's tuple; an echo's identifier stands at both ends, so that its reply is the inverse."""
    if packet.is_icmp:
        return packet.protocol, packet.src, packet.sport, packet.dst, packet.sport
    return packet.ends


class Conntrack:
    """The connections of one namespace, empty at first."""

    def __init__(self) -> None:
        self._found: dict[Tuple, tuple[Connection, bool]] = {}

    def find(self, one: Tuple) -> tuple[Connection, bool] | None:
        """The connection with this tuple, and whether it is that of its answers."""
        return self._found.get(one)

    def track(self, packet: Packet) -> Tracked:
        """What conntrack makes of a packet that it sees first."""
        if packet.about is not None:
            known = self.find(_invert(tuple_of(packet.about)))
            return Tracked(None) if known is None else Tracked(known[0], known[1], "related")
        own = tuple_of(packet)
        known = self.find(own)
        if known is not None:
            connection, reply = known
            if reply:
                connection.answered = True
                connection.status |= CT_STATUS["seen-reply"]
            return Tracked(connection, reply, "established" if connection.answered else "new")
        if _begins_none(packet):
            return Tracked(None)
        connection = Connection(own, _invert(own))
        return Tracked(connection, False, "new")

    def confirm(self, tracked: Tracked) -> None:
        """The first packet has passed the last hook: answers are known from now on."""
        connection = tracked.connection
        if connection is not None and not connection.status & CT_STATUS["confirmed"]:
            connection.status |= CT_STATUS["confirmed"]
            self.add(connection)

    def add(self, connection: Connection) -> None:
        """Know a connection by its two tuples."""
        self._found[connection.original] = connection, False
        self._found.setdefault(connection.reply, (connection, True))


def _begins_none(packet: Packet) -> bool:
    """Whether a packet cannot begin a connection: a RST, a SYN-ACK, an echo reply."""
    if packet.protocol == TCP:
        return bool(packet.flags & RST) or packet.flags & (SYN | ACK) == SYN | ACK
    return packet.is_icmp and packet.kind != ECHO[packet.family][0]


def bind(tracked: Tracked, side: Side, address: int | None, port: int | None) -> None:
    """Decide about one side of a new connection: None keeps what the packet has."""
    connection = tracked.connection
    assert connection is not None
    connection.bound.add(side)
    protocol, src, sport, dst, dport = connection.reply
    if side == "dst":
        new = protocol, src if address is None else address, sport if port is None else port, dst, dport
    else:
        new = protocol, src, sport, dst if address is None else address, dport if port is None else port
    if new != connection.reply:
        connection.reply = new
        connection.status |= _BITS[side]


def mangled(packet: Packet, tracked: Tracked, side: Side) -> Packet:
    """The packet as NAT leaves it at a hook of this side (dst: PREROUTING, OUTPUT; src: the others)."""
    connection = tracked.connection
    if connection is None:
        return packet
    bit = _BITS[side] if not tracked.reply else _BITS["src" if side == "dst" else "dst"]
    if not connection.status & bit:
        return packet
    target = _invert(connection.original if tracked.reply else connection.reply)
    _, src, sport, dst, dport = target
    if packet.about is not None:
        return _mangled_error(packet, packet.about, target, side)
    if side == "dst":
        return replace(packet, dst=dst, dport=dport) if packet.has_ports else replace(packet, dst=dst)
    return replace(packet, src=src, sport=sport) if packet.has_ports else replace(packet, src=src)


def _mangled_error(packet: Packet, inner: Packet, target: Tuple, side: Side) -> Packet:
    """An ICMP error: its own address on this side, and the one that it quotes on the other."""
    _, src, sport, dst, dport = target
    if side == "dst":
        inner = replace(inner, src=dst, sport=dport if inner.has_ports else inner.sport)
        return replace(packet, dst=dst, about=inner)
    inner = replace(inner, dst=src, dport=sport if inner.has_ports else inner.dport)
    return replace(packet, src=src, about=inner)
