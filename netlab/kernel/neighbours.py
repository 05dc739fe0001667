"""The neighbour tables: who did not answer a search, and whether the machine's table was ever full.

The limit (gc_thresh3) and the counters are the whole machine's, the entries each namespace's. Layouts:
include/uapi/linux/neighbour.h.
"""

from __future__ import annotations

import socket
import sys
from struct import Struct
from typing import Final

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink.message import attributes
from netlab.kernel.netlink.socket import RouteSocket
from netlab.model.family import Family

_RTM_GETNEIGH, _RTM_GETNEIGHTBL = 30, 66
_NDMSG = Struct("=BxxxiHBB")
_NDTMSG = Struct("=Bxxx")
_FAMILIES: Final = {int(socket.AF_INET): Family.IPV4, int(socket.AF_INET6): Family.IPV6}
_NDA_DST: Final = 1
_NDTA_STATS: Final = 7
#: struct ndt_stats: allocs, destroys, hash_grows, res_failed, lookups, hits, rcv_probes_mcast,
#: rcv_probes_ucast, periodic_gc_runs, forced_gc_runs, table_fulls
_FULLS_AT: Final = 10 * 8
#: NUD_INCOMPLETE, NUD_FAILED
_UNRESOLVED: Final = 0x01 | 0x20


def unresolved(netns: int | None) -> frozenset[str]:
    """The addresses that were searched for in a namespace, and did not answer (so far); raises OSError."""
    with namespaces.inside(netns):
        sock = RouteSocket()
    found = set()
    with sock:
        for data in sock.dump(_RTM_GETNEIGH, _NDMSG.pack(0, 0, 0, 0, 0)):
            family, _, state, _, _ = _NDMSG.unpack_from(data)
            raw = attributes(data, _NDMSG.size).get(_NDA_DST)
            if raw is not None and state & _UNRESOLVED and family in (socket.AF_INET, socket.AF_INET6):
                found.add(socket.inet_ntop(family, raw))
    return frozenset(found)


def table_fulls() -> dict[Family, int]:
    """How often the machine had no room for a neighbour, by family; raises OSError."""
    found: dict[Family, int] = {}
    with RouteSocket() as sock:
        for data in sock.dump(_RTM_GETNEIGHTBL, _NDTMSG.pack(0)):
            family = _FAMILIES.get(data[0])
            stats = attributes(data, _NDTMSG.size).get(_NDTA_STATS)
            if family is not None and stats is not None and len(stats) >= _FULLS_AT + 8:
                found[family] = int.from_bytes(stats[_FULLS_AT : _FULLS_AT + 8], sys.byteorder)
    return found
