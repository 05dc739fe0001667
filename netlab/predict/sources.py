"""Which of a namespace's addresses a packet leaves with, as Linux chooses it.

Source: inet_select_addr (net/ipv4/devinet.c), ipv6_dev_get_saddr (net/ipv6/addrconf.c, RFC 6724).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from netlab.model.family import Family
from netlab.predict.host import Namespace, link_local
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
            host_bits = 32 - own.network.prefixlen
            if near >> host_bits == int(own.ip) >> host_bits:
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
    return next(bits for bits in range(length, -1, -1) if one >> 128 - bits == other >> 128 - bits)


def ipv6_source(space: Namespace, interface: str, destination: int) -> int | None:
    """The best source by RFC 6724's rules, as far as a lab's addresses differ in them."""
    wanted = _scope(destination)
    candidates: list[tuple[int, int, str]] = []
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
        candidates += [(address, length, one.name) for address, length in found]
    rules: tuple[Callable[[int, int, str], int], ...] = (
        lambda address, _, __: address == destination,
        lambda address, _, __: _order(_scope(address), wanted),
        lambda _, __, name: name == interface,
        lambda address, _, __: _label(address) == _label(destination),
        lambda address, length, _: _common(address, destination, length),
    )
    for rule in rules:
        if len(candidates) < 2:
            break
        scores = [rule(*one) for one in candidates]
        best = max(scores)
        candidates = [one for one, score in zip(candidates, scores, strict=True) if score == best]
    return candidates[0][0] if candidates else None


def _order(scope: int, wanted: int) -> int:
    """How well a scope fits: the smallest that reaches so far, or else the largest."""
    return -scope if scope >= wanted else scope - 64
