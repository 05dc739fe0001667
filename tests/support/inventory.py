"""What a network namespace holds, read with pyroute2: independent of the messages that netlab packs by hand.

Everything acts on the calling thread's namespace. pyroute2 opens the socket, so enter the namespace first.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from pyroute2 import IPRoute

NUD_PERMANENT = 0x80
RT_TABLE_MAIN, RTN_UNICAST = 254, 1


class Link(NamedTuple):
    """A link; ``kind`` is empty for a physical one and loopback, ``master`` and ``peer`` are indexes or 0."""

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    master: int
    peer: int


def links() -> list[Link]:
    """Every link."""
    with IPRoute() as kernel:
        return [
            Link(
                one["index"],
                one.get("ifname"),
                one.get(("linkinfo", "kind")) or "",
                one.get("address") or "",
                one.get("mtu"),
                bool(one["flags"] & 1),
                one.get("master") or 0,
                one.get("link") or 0,
            )
            for one in kernel.get_links()
        ]


def addresses() -> set[tuple[int, str]]:
    """(ifindex, address with prefix length), both families."""
    with IPRoute() as kernel:
        return {
            (one["index"], f"{one.get('local') or one.get('address')}/{one['prefixlen']}")
            for one in kernel.get_addr()
        }


def routes() -> set[tuple[str, str | None, int]]:
    """(``default`` or prefix, gateway, ifindex) of the unicast routes of the main table, both families."""
    with IPRoute() as kernel:
        return {
            (
                f"{one.get('dst')}/{one['dst_len']}" if one.get("dst") else "default",
                one.get("gateway"),
                one.get("oif"),
            )
            for one in kernel.get_routes()
            if (one.get("table"), one["type"]) == (RT_TABLE_MAIN, RTN_UNICAST)
        }


def rules() -> set[tuple[int, int, int]]:
    """(AF_*, priority, table) of the policy routing rules, both families."""
    with IPRoute() as kernel:
        return {
            (one["family"], one.get("priority") or 0, one.get("table"))
            for one in kernel.get_rules()
            if one["family"] in (socket.AF_INET, socket.AF_INET6)
        }


def permanent_neighbours() -> set[tuple[int, str, str]]:
    """(ifindex, address, MAC) of the entries that never age, both families."""
    with IPRoute() as kernel:
        return {
            (one["ifindex"], one.get("dst"), one.get("lladdr"))
            for family in (socket.AF_INET, socket.AF_INET6)  # AF_UNSPEC gives IPv4 ones alone
            for one in kernel.get_neighbours(family=family)
            if one["state"] & NUD_PERMANENT
        }
