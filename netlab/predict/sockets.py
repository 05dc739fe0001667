"""Who listens: the socket that the kernel gives a packet to, of those that a plan puts into a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netlab.model.family import Family, parse_address
from netlab.model.plan import Backend
from netlab.predict.host import Namespace
from netlab.predict.packet import Packet


@dataclass(frozen=True, slots=True)
class Receiver:
    """A socket that takes a packet. With a ``backend`` it is a userland proxy.

    ``answers``: a program reads it; otherwise the engine only holds the port. ``routed``: a datagram is
    answered from the address that the routing table picks.
    """

    node: str
    service: str
    answers: bool = True
    backend: Backend | None = None
    process: str = ""
    routed: bool = False


_NAMES = {6: "tcp", 17: "udp", 132: "sctp"}


def listening(space: Namespace, packet: Packet) -> Receiver | None:
    """The socket on the packet's destination; the one bound to its very address comes first."""
    found = sorted(_matching(space, packet), key=lambda pair: pair[0])
    return found[0][1] if found else None


def _matching(space: Namespace, packet: Packet) -> Iterator[tuple[int, Receiver]]:
    name = _NAMES.get(packet.protocol)
    for listener in space.listeners:
        if (listener.protocol, listener.port) != (name, packet.dport):
            continue
        rank = _binds(listener.address, listener.v6only, packet)
        if rank is not None:
            held = Receiver(
                space.name,
                listener.process,
                answers=listener.backend is not None,
                backend=listener.backend,
                process=listener.process,
                # with this argument (Docker 28 and later), it answers from the address that was asked
                routed=listener.protocol == "udp" and "-use-listen-fd" not in listener.argv,
            )
            yield rank, held
    for node, responder in space.responders:
        if (responder.protocol, responder.port) == (name, packet.dport):
            yield 1, Receiver(node, responder.service, routed=responder.routed)
    for protocol, address, port in space.resolvers:
        if (protocol, port) == (name, packet.dport) and int(parse_address(address)) == packet.dst:
            yield 0, Receiver(space.name, "Docker's DNS server")


def _binds(address: str, v6only: bool | None, packet: Packet) -> int | None:
    """0 for a socket on the packet's own address, 1 for one on every address, None for another."""
    if address in ("", "0.0.0.0", "::"):
        if v6only is None:
            return 1 if packet.family is Family.IPV4 else None
        return 1 if packet.family is Family.IPV6 or not v6only else None
    return 0 if Family.of(address) is packet.family and int(parse_address(address)) == packet.dst else None
