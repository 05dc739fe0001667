"""Delete conntrack entries through ctnetlink, as a container engine does.

Layouts: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable
from struct import Struct
from typing import Final

from netlab.kernel.netlink import conntrack
from netlab.kernel.netlink.nf_tables import attribute, dump, messages, nest, open_socket
from netlab.model.family import FAMILIES, Family

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_*
_TUPLE_ORIG, _ID, _ZONE = 1, 12, 18
_HEADER = Struct("=IHHIIBBH")
_REQUEST, _ACK = 1, 4
UDP: Final = 17


def answered_by(addresses: Iterable[str]) -> Callable[[conntrack.Entry], bool]:
    """Entries whose answers come from or go to one of the addresses (netlink's ConntrackReplyAnyIP)."""
    wanted = frozenset(addresses)

    def chosen(entry: conntrack.Entry) -> bool:
        return entry.reply.src in wanted or entry.reply.dst in wanted

    return chosen


def sent_to(protocol: int, endpoints: Iterable[tuple[str, int]]) -> Callable[[conntrack.Entry], bool]:
    """Entries of a protocol that were first sent to one of the (address, port); "" is every address."""
    wanted = frozenset(endpoints)

    def chosen(entry: conntrack.Entry) -> bool:
        original = entry.original
        return original.protocol == protocol and (
            ("", original.dport) in wanted or (original.dst, original.dport) in wanted
        )

    return chosen


def delete(netns: int | None, chosen: Callable[[conntrack.Entry], bool]) -> int:
    """Delete what is chosen in a namespace (None: the caller's own), both families; how many there were.

    Raises OSError. An entry that goes by itself meanwhile is no error.
    """
    return sum(_delete(netns, family, chosen) for family in FAMILIES)


def _delete(netns: int | None, family: Family, chosen: Callable[[conntrack.Entry], bool]) -> int:
    kind = socket.AF_INET if family is Family.IPV4 else socket.AF_INET6
    count = 0
    with open_socket(netns) as sock:
        for values, _ in list(dump(sock, _GET, kind)):
            if not chosen(conntrack.entry(values)):
                continue
            body = nest(_TUPLE_ORIG, values[_TUPLE_ORIG]) + attribute(_ID, values[_ID])
            if _ZONE in values:
                body += attribute(_ZONE, values[_ZONE])
            head = _HEADER.pack(20 + len(body), _DELETE, _REQUEST | _ACK, 0, 0, kind, 0, 0)
            sock.send(head + body)
            try:
                list(messages(sock, single=True))
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise OSError(
                        error.errno, f"deleting a connection: {os.strerror(error.errno or 0)}"
                    ) from error
            count += 1
    return count
