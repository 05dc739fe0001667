"""Where a packet that came in by an interface is routed, and which addresses a namespace takes none from.

Source: ip_route_input_slow, fib_validate_source (net/ipv4), ip6_route_input (net/ipv6) of Linux 6.18.
"""

from __future__ import annotations

from typing import Final

from netlab.model.family import Family
from netlab.predict.host import Namespace
from netlab.predict.packet import Packet
from netlab.predict.routes import Query, RouteEntry

#: the kinds of routes that lead to the namespace itself
OWN: Final = ("local", "broadcast", "anycast")
#: IPv4's limited broadcast address
_TO_ALL: Final = 0xFFFFFFFF


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
    if packet.family is Family.IPV4 and packet.dst == _TO_ALL:
        found = RouteEntry(_TO_ALL, 32, "broadcast")
    wrong = _martian(space, packet, iif, found)
    if found is not None and found.kind in OWN:
        found = RouteEntry(0, 0, found.kind)
    return found, wrong


def _martian(space: Namespace, packet: Packet, iif: str, found: RouteEntry | None) -> str:
    """Why a namespace refuses a packet for its addresses alone; empty if it does not (IPv4 only)."""
    if packet.family is Family.IPV6:
        return ""
    if packet.src >> 28 == 0xE or packet.src == _TO_ALL:
        return "EINVAL"
    if packet.dst != _TO_ALL and (packet.src >> 24 == 0 or packet.dst >> 24 == 0):
        return "EINVAL"
    loopback = [address >> 24 == 127 for address in (packet.src, packet.dst)]
    if any(loopback) and iif != "lo" and not space.conf("route_localnet", iif):
        return "EXDEV"
    own = space.routes[packet.family]
    if iif != "lo" and packet.src in space.addresses(packet.family) and not space.conf("accept_local", iif):
        return "EINVAL"
    strict = space.strictest("rp_filter", iif)
    if strict and iif != "lo" and found is not None:
        back = own.lookup(Query(packet.dst, packet.src, mark=0))
        if back is None or back.kind != "unicast" or (strict == 1 and back.interface != iif):
            return "EXDEV"
    return ""
