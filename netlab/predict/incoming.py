"""Where a packet that came in by an interface is routed.

Source: ip_route_input_slow (net/ipv4), ip6_route_input (net/ipv6) of Linux 6.18.
"""

from __future__ import annotations

from typing import Final

from netlab.model.family import Family
from netlab.predict.host import Namespace
from netlab.predict.martians import TO_ALL, martian
from netlab.predict.packet import Packet
from netlab.predict.routes import Query, RouteEntry

#: the kinds of routes that lead to the namespace itself
OWN: Final = ("local", "broadcast", "anycast")


def _of_one_link(packet: Packet) -> bool:
    """Whether a route must be on the link that the packet came by (rt6_need_strict)."""
    return packet.family is Family.IPV6 and (packet.dst == 1 or packet.dst >> 118 == 0x3FA)


def input_route(space: Namespace, packet: Packet, iif: str) -> tuple[RouteEntry | None, str]:
    """The route of a packet that came in, and why it is refused for its addresses alone.

    Of a route to the namespace itself only the kind counts, so that those to all of its addresses are one.
    """
    found = space.routes[packet.family].lookup(
        Query(packet.src, packet.dst, iif, iif if _of_one_link(packet) else None, packet.mark)
    )
    if packet.family is Family.IPV4 and packet.dst == TO_ALL:
        found = RouteEntry(TO_ALL, 32, "broadcast")
    wrong = martian(space, packet, iif, found)
    if found is not None and found.kind in OWN:
        found = RouteEntry(0, 0, found.kind)
    return found, wrong
