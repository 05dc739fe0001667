"""Which of a namespace's addresses a packet leaves with, as Linux chooses it.

Source: inet_select_addr (net/ipv4/devinet.c), ipv6_dev_get_saddr (net/ipv6/addrconf.c, RFC 6724).
"""

from __future__ import annotations

import ipaddress

from netlab.model.family import Family
from netlab.predict.host import Namespace
from netlab.predict.packet import address_number
from netlab.predict.routes import RouteEntry

#: RFC 6724's policy table: prefix, length, label
_LABELS = (
    (1, 128, 0), (0xFFFF << 32, 96, 4), (0x2002 << 112, 16, 2), (0x20010000 << 96, 32, 5),
    (0xFC << 120, 7, 13),
    (0, 96, 3), (0xFEC0 << 112, 10, 11), (0x3FFE << 112, 16, 12), (0, 0, 1),
)  # fmt: skip


def source_for(space: Namespace, family: Family, destination: int, route: RouteEntry) -> int | None:
    """The source address of a packet that takes this route; None: there is none."""
    if route.source is not None:
        return route.source
    if family is Family.IPV6:
        return ipv6_source(space, route.interface or "lo", destination)
    if route.kind == "local":
        return destination
    return ipv4_source(space, route.interface or "lo", route.via or destination)


def ipv4_source(space: Namespace, interface: str, near: int) -> int | None:
    """The address in whose network ``near`` is, or an interface's first one; else another interface's."""
    first = None
    for text in space.interfaces[interface].addresses if interface in space.interfaces else ():
        if Family.of(text) is Family.IPV4:
            own = ipaddress.IPv4Interface(text)
            if ipaddress.IPv4Address(near) in own.network:
                return int(own.ip)
            first = int(own.ip) if first is None else first
    if first is not None:
        return first
    ordered = sorted(space.interfaces.values(), key=lambda one: space.indexes[one.name])
    for one in ordered:
        for text in one.addresses:
            if Family.of(text) is Family.IPV4 and one.name != "lo":
                return address_number(text)
    return None


def _scope(address: int) -> int:
    """2 for a link-local address or loopback, 14 for any other unicast address."""
    return 2 if address >> 118 == 0x3FA or address == 1 else 14


def _label(address: int) -> int:
    return next(
        label for start, size, label in _LABELS if not size or address >> 128 - size == start >> 128 - size
    )


def _common(one: int, other: int, length: int) -> int:
    """How many leading bits two addresses share, at most ``length``."""
    return min(128 - (one ^ other).bit_length(), length)


def link_local(space: Namespace, interface: str) -> int | None:
    """The address that the kernel makes of an interface's MAC address."""
    mac = space.interfaces[interface].mac if interface in space.interfaces else None
    if mac is None or not space.speaks_ipv6(interface):
        return None
    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return (0xFE80 << 112) + int.from_bytes(identifier, "big")


def ipv6_source(space: Namespace, interface: str, destination: int) -> int | None:
    """The best source by RFC 6724's rules, as far as a lab's addresses differ in them."""
    best: tuple[tuple[int, ...], int] | None = None
    wanted = _scope(destination)
    ordered = sorted(space.interfaces.values(), key=lambda one: one.name != interface)
    for one in ordered:
        if not space.speaks_ipv6(one.name) or (wanted == 2 and destination != 1 and one.name != interface):
            continue
        found = [
            (int(own.ip), own.network.prefixlen)
            for own in (ipaddress.IPv6Interface(a) for a in one.addresses if ":" in a)
        ]
        local = link_local(space, one.name) if one.name != "lo" else 1
        if local is not None:
            found.append((local, 64))
        for address, length in found:
            scope = _scope(address)
            score = (
                address == destination,
                -scope if scope >= wanted else scope - 64,
                one.name == interface,
                _label(address) == _label(destination),
                _common(address, destination, length),
            )
            if best is None or score > best[0]:
                best = score, address
    return best[1] if best is not None else None
