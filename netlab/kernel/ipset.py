"""Sets of subnets that iptables rules match (``-m set``), in the calling thread's network namespace."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.kernel import libraries
from netlab.model.errors import MachineError
from netlab.model.rules import IpSet

#: The revision is the kernel's choice (include/uapi/linux/netfilter/ipset/ip_set.h).
_TYPE = "hash:net"
#: how many members a set takes if nobody says so
_ELEMENTS = 65536


def ensure(wanted: Iterable[IpSet]) -> None:
    """Make each set contain exactly its subnets; raises MachineError if the kernel has no ip_set."""
    found = tuple(wanted)
    if not found:
        return
    try:
        with libraries.IPSet() as sets:
            for one in found:
                family = one.family.af
                size = max(_ELEMENTS, len(one.members))
                sets.create(one.name, stype=_TYPE, family=family, exclusive=False, maxelem=size)
                sets.flush(one.name)
                for member in one.members:
                    sets.add(one.name, member, family=family, etype="net")
    except libraries.NetlinkError as error:
        raise MachineError(
            f"the kernel has no {_TYPE} ipset ({error}): rules with -m set need CONFIG_IP_SET_HASH_NET"
        ) from error
