"""Read and delete conntrack entries with pyroute2. Nothing here enables conntrack.

pyroute2's ``netns=`` starts a process for each socket and takes names or paths. Here, a descriptor is enough:
the calling thread enters the namespace for the time of the call.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from netlab.kernel import libraries
from netlab.kernel import netns as namespaces
from netlab.model.family import FAMILIES, Family

#: enum ip_conntrack_status of include/uapi/linux/netfilter/nf_conntrack_common.h
SRC_NAT, DST_NAT = 16, 32
UDP: Final = 17


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction: addresses, and ports (0 for protocols without ports)."""

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

    Empty if conntrack does not run; the query does not enable it.
    """
    with namespaces.inside(netns), libraries.NFCTSocket(nfgen_family=family.af) as table:
        return tuple(_entry(message) for message in _dump(table))


def answered_by(addresses: Iterable[str]) -> Callable[[Entry], bool]:
    """Entries whose answers come from or go to one of the addresses (netlink's ConntrackReplyAnyIP)."""
    wanted = frozenset(addresses)

    def chosen(entry: Entry) -> bool:
        return entry.reply.src in wanted or entry.reply.dst in wanted

    return chosen


def sent_to(protocol: int, endpoints: Iterable[tuple[str, int]]) -> Callable[[Entry], bool]:
    """Entries of a protocol that were first sent to one of the (address, port); "" is every address."""
    wanted = frozenset(endpoints)

    def chosen(entry: Entry) -> bool:
        original = entry.original
        return original.protocol == protocol and (
            ("", original.dport) in wanted or (original.dst, original.dport) in wanted
        )

    return chosen


def delete(netns: int | None, chosen: Callable[[Entry], bool]) -> int:
    """Delete the chosen entries of a namespace (None: the caller's own), both families.

    Returns the number of chosen entries. Raises OSError, but not if an entry has already ended.
    """
    with namespaces.inside(netns):
        return sum(_delete(family, chosen) for family in FAMILIES)


def _delete(family: Family, chosen: Callable[[Entry], bool]) -> int:
    count = 0
    with libraries.NFCTSocket(nfgen_family=family.af) as table:
        for message in _dump(table):
            if not chosen(_entry(message)):
                continue
            # The identity as well: a new connection may have the tuple of one that has just ended.
            which = {"tuple_orig": _plain(message.get("tuple_orig")), "id": message.get("id")}
            try:
                table.entry("del", **which, zone=message.get("zone"))
            except libraries.NetlinkError as error:
                if error.code != errno.ENOENT:
                    raise _failed("deleting a connection", error) from error
            count += 1
    return count


def _dump(table: libraries.NFCTSocket) -> list[Any]:
    try:
        return list(table.dump())
    except libraries.NetlinkError as error:
        raise _failed("listing connections", error) from error


def _failed(doing: str, error: libraries.NetlinkError) -> OSError:
    return OSError(error.code, f"{doing}: {os.strerror(error.code)}")


def _plain(attribute: Any) -> dict[str, Any]:
    """A decoded nest of attributes as pyroute2 encodes one: without the flags that it adds on decoding."""
    return {"attrs": [(a[0], _plain(a[1]) if isinstance(a[1], dict) else a[1]) for a in attribute["attrs"]]}


def _entry(message: Any) -> Entry:
    return Entry(
        message.get("id"),
        _tuple(message.get("tuple_orig")),
        _tuple(message.get("tuple_reply")),
        message.get("status") or 0,
    )


def _tuple(attribute: Any) -> Tuple:
    addresses, protocol = attribute.get("CTA_TUPLE_IP"), attribute.get("CTA_TUPLE_PROTO")
    src, dst = (
        addresses.get(f"CTA_IP_V4_{end}") or addresses.get(f"CTA_IP_V6_{end}") for end in ("SRC", "DST")
    )
    sport, dport = (protocol.get(f"CTA_PROTO_{end}_PORT") or 0 for end in ("SRC", "DST"))
    return Tuple(protocol.get("CTA_PROTO_NUM"), src, sport, dst, dport)
