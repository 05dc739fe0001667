"""Who listens: the socket that the kernel gives a packet to, of those that a plan puts into a namespace."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from netlab.model.family import FAMILIES, Family, parse_address
from netlab.model.plan import Backend
from netlab.model.reply import Reply
from netlab.predict.host import Namespace
from netlab.predict.packet import Packet, look_up


@dataclass(frozen=True, slots=True)
class Receiver:
    """A socket that takes a packet. With a ``backend`` it is a userland proxy.

    ``answers``: a program reads it; otherwise the engine only holds the port. ``routed``: a datagram is
    answered from the address that the routing table picks, since the socket is bound to none.
    """

    node: str
    service: str
    answers: bool = True
    backend: Backend | None = None
    process: str = ""
    routed: bool = False
    #: the rootless container into which the proxy leads
    inside: str = ""


def reply_of(found: Receiver, packet: Packet) -> Reply:
    """What netlab's responder says to a packet."""
    return Reply(
        found.node, found.service, packet.source, packet.sport, packet.destination, packet.dport, "-"
    )


_EVERYWHERE = ("", "0.0.0.0", "::")
_NAMES = {6: "tcp", 17: "udp", 132: "sctp"}


def listening(space: Namespace, packet: Packet) -> Receiver | None:
    """The socket on the packet's destination; the one bound to its very address comes first."""
    name = _NAMES.get(packet.protocol)
    if name is None:
        return None
    if name not in space.sockets:
        space.sockets[name] = _by_port(space, name)
    there: _Sockets | None = look_up(space.sockets[name], packet.dport)
    if there is None:
        return None
    own = look_up(there.own[packet.family], packet.dst)
    return own if own is not None else there.every[packet.family]


@dataclass(eq=False, slots=True)
class _Sockets:
    """The sockets of one port by family: those on one address, and the one on every address."""

    own: dict[Family, dict[int, Receiver]] = field(default_factory=lambda: {one: {} for one in FAMILIES})
    every: dict[Family, Receiver | None] = field(default_factory=lambda: dict.fromkeys(FAMILIES))

    def add(self, address: str, v6only: bool | None, socket: Receiver) -> None:
        """A socket on an address; one that is there already comes first."""
        if address not in _EVERYWHERE:
            self.own[Family.of(address)].setdefault(int(parse_address(address)), socket)
            return
        for family in FAMILIES:
            six = family is Family.IPV6
            if (six and v6only is not None) or (not six and not v6only):
                self.every[family] = self.every[family] or socket


def _by_port(space: Namespace, name: str) -> dict[int, _Sockets]:
    """Port → its sockets, of one protocol."""
    found: dict[int, _Sockets] = defaultdict(_Sockets)
    for listener in space.listeners:
        if listener.protocol == name:
            everywhere = listener.address in _EVERYWHERE
            held = Receiver(
                space.name,
                listener.process,
                answers=listener.backend is not None,
                backend=listener.backend,
                process=listener.process,
                inside=listener.inside,
                # A socket bound to an address answers from there; with this argument (Docker 28 and later),
                # every one answers from the address that was asked.
                routed=name == "udp" and everywhere and "-use-listen-fd" not in listener.argv,
            )
            found[listener.port].add(listener.address, listener.v6only, held)
    for node, responder in space.responders:
        if responder.protocol == name:
            found[responder.port].add("", False, Receiver(node, responder.service, routed=responder.routed))
    for program, protocol, address, port in space.resolvers:
        if protocol == name:  # what a flow sends it is no question of DNS
            server = f"the DNS server of {program}"
            found[port].add(address, None, Receiver(space.name, server, answers=False, process=server))
    return dict(found)
