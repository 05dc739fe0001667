"""Packets that a namespace refuses for their addresses alone. Kernels before 6.13 say EXDEV for most of them.

Source: ip_route_input_slow, __mkroute_input, fib_validate_source and __mkroute_output (Linux 6.18).
"""

from __future__ import annotations

from typing import Final

from netlab.model.family import Family
from netlab.predict.host import Namespace
from netlab.predict.packet import Packet
from netlab.predict.routes import Query, RouteEntry

#: IPv4's limited broadcast address
TO_ALL: Final = 0xFFFFFFFF


def martian(space: Namespace, packet: Packet, iif: str, found: RouteEntry | None) -> str:
    """Why a namespace refuses a packet for its addresses alone; empty if it does not (IPv4 only)."""
    if packet.family is Family.IPV6:
        return ""
    if packet.src >> 28 == 0xE or packet.src == TO_ALL:
        return "EINVAL"
    if packet.dst != TO_ALL and (0 in (packet.src, packet.dst)):
        return "EINVAL"
    loopback = [address >> 24 == 127 for address in (packet.src, packet.dst)]
    if any(loopback) and iif != "lo" and not space.conf("route_localnet", iif):
        return "EINVAL"
    own = space.routes[packet.family]
    if iif != "lo" and packet.src in space.addresses(packet.family) and not space.conf("accept_local", iif):
        return "EINVAL"
    strict = space.strictest("rp_filter", iif)
    if strict and iif != "lo" and found is not None:
        back = own.lookup(Query(packet.dst, packet.src, mark=0))
        if back is None or back.kind != "unicast" or (strict == 1 and back.interface != iif):
            return "EINVAL"
    return ""


def stays_inside(space: Namespace, packet: Packet, route: RouteEntry) -> bool:
    """Whether a packet that the namespace sends itself may not leave by its route: it is from 127.0.0.0/8."""
    out = route.interface or "lo"
    if packet.family is Family.IPV6 or route.kind == "local" or out == "lo":
        return False
    return packet.src >> 24 == 127 and not space.conf("route_localnet", out)
