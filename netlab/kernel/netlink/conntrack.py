"""Read the conntrack table (ctnetlink), without switching conntrack on.

Layouts: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final

from netlab.kernel.netlink.nf_tables import attributes, dump, open_socket
from netlab.model.family import Family

_SUBSYSTEM: Final = 1
_CT_GET: Final = 1
_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _ID, _ZONE = 1, 2, 3, 12, 18
_IP, _PROTO = 1, 2
_V4_SRC, _V4_DST, _V6_SRC, _V6_DST = 1, 2, 3, 4
_PROTO_NUM, _SPORT, _DPORT = 1, 2, 3
#: enum ip_conntrack_status
SEEN_REPLY, ASSURED, CONFIRMED, SRC_NAT, DST_NAT = 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction: addresses, and the ports of protocols that have some (else 0)."""

    protocol: int
    src: str
    sport: int
    dst: str
    dport: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One connection. ``id`` is the one of trace events; ``reply`` shows what NAT made of ``original``."""

    id: int
    original: Tuple
    reply: Tuple
    status: int

    @property
    def dnat(self) -> tuple[str, int] | None:
        """Where the destination was sent to, if it was translated."""
        return (self.reply.src, self.reply.sport) if self.status & DST_NAT else None

    @property
    def snat(self) -> tuple[str, int] | None:
        """What the source was made, if it was translated."""
        return (self.reply.dst, self.reply.dport) if self.status & SRC_NAT else None


def entries(netns: int | None, family: Family) -> tuple[Entry, ...]:
    """Every entry of one family in a namespace (None: the caller's own); raises OSError.

    Empty where conntrack does not run; asking does not start it.
    """
    kind = socket.AF_INET if family is Family.IPV4 else socket.AF_INET6
    with open_socket(netns) as sock:
        return tuple(entry(values) for values, _ in dump(sock, _SUBSYSTEM << 8 | _CT_GET, kind))


def entry(values: dict[int, bytes]) -> Entry:
    """The entry in the attributes of a message of ctnetlink's."""
    return Entry(
        int.from_bytes(values[_ID], "big"),
        _tuple(attributes(values[_TUPLE_ORIG])),
        _tuple(attributes(values[_TUPLE_REPLY])),
        int.from_bytes(values.get(_STATUS, b""), "big"),
    )


def _tuple(values: dict[int, bytes]) -> Tuple:
    addresses, proto = attributes(values[_IP]), attributes(values[_PROTO])
    if _V4_SRC in addresses:
        kind, src, dst = socket.AF_INET, addresses[_V4_SRC], addresses[_V4_DST]
    else:
        kind, src, dst = socket.AF_INET6, addresses[_V6_SRC], addresses[_V6_DST]
    return Tuple(
        proto[_PROTO_NUM][0],
        socket.inet_ntop(kind, src),
        int.from_bytes(proto.get(_SPORT, b""), "big"),
        socket.inet_ntop(kind, dst),
        int.from_bytes(proto.get(_DPORT, b""), "big"),
    )
