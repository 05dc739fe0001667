"""Where packets come from, and which of them are asked about: the words of ``--from`` and ``--to``."""

from __future__ import annotations

import ipaddress

from netlab.exposure.diagrams import Diagrams, Packets
from netlab.exposure.walk import Entry
from netlab.journey.resolve import Resolver
from netlab.model.errors import NoNodeError, UsageError
from netlab.model.family import Family, bare
from netlab.model.plan import Plan
from netlab.predict.host import link_local_of

OUTSIDE = "outside"
#: (first, last) of ranges whose addresses belong to no single machine; exposure leaves them out
_NOT_UNICAST = {
    Family.IPV4: ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32"),
    Family.IPV6: ("::/128", "ff00::/8", "::ffff:0:0/96"),
}

_LOOPBACK = {Family.IPV4: [(127 << 24, (128 << 24) - 1)], Family.IPV6: [(1, 1)]}


def entries(plan: Plan, word: str = OUTSIDE) -> list[Entry]:
    """Where packets enter: ``outside``, a node that sends them, or an interface of a host.

    Raises UsageError.
    """
    hosts = [node for node in plan.nodes if node.kind == "host"]
    segments = {node.name for node in plan.nodes if node.kind == "segment"}
    if word == OUTSIDE:
        return [
            Entry(host.name, one.name)
            for host in hosts
            for one in host.interfaces
            if one.peer is not None and one.peer[0] in segments
        ]
    interface, _, of = word.partition("@")
    found = [
        Entry(host.name, one.name)
        for host in hosts
        for one in host.interfaces
        if one.name == interface and one.kind != "bridge" and of in ("", host.name)
    ]
    try:
        return [Entry(node.name) for node in Resolver(plan).origins(word)]
    except NoNodeError as error:
        if found:
            return found
        places = ", ".join(str(one.interface) for one in entries(plan))
        raise UsageError(
            f"{error}, and no host has an interface of that name; expected outside, a node or an "
            f"interface such as {places or 'eth0'}"
        ) from None


def unicast(diagrams: Diagrams) -> Packets:
    """The packets between addresses of single machines."""
    ranges = [
        (int(net.network_address), int(net.broadcast_address))
        for net in map(ipaddress.ip_network, _NOT_UNICAST[diagrams.family])
    ]
    return ~diagrams.field("src", ranges) & ~diagrams.field("dst", ranges)


def towards(plan: Plan, diagrams: Diagrams, word: str) -> Packets:
    """The packets to a node (loopback and link-local addresses, too), to an address, or into a network.

    Raises UsageError.
    """
    family = diagrams.family
    try:
        net = ipaddress.ip_network(word, strict=False)
    except ValueError:
        ranges = []
        for node in Resolver(plan).origins(word):
            home = plan.node(node.namespace)
            ranges += _LOOPBACK[family]
            for interface in home.interfaces:
                if family is Family.IPV6 and interface.mac:
                    ranges.append((link_local_of(interface.mac),) * 2)
                for address in interface.addresses:
                    if Family.of(address) is family:
                        number = int(ipaddress.ip_address(bare(address)))
                        ranges.append((number, number))
        return diagrams.field("dst", ranges)
    if net.version != family.value:
        return diagrams.none
    return diagrams.field("dst", [(int(net.network_address), int(net.broadcast_address))])
