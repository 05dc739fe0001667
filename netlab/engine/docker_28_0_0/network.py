"""A network's rules: those of 28, but in FORWARD itself, and its subnet in the daemon's set."""

from __future__ import annotations

from netlab.engine.docker.chains import STAGE_1
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.docker_28.network import (
    internal,
    isolate,
    outgoing,
    remove_isolation,
    route,
    skip_nat,
    source_nat,
    texts,
    unpublished,
)
from netlab.engine.docker_28_0_0.chains import SETS

FORWARD = "FORWARD"


def add(world: HostState, network: LiveNetwork) -> None:
    """Put in the rules of a network; its isolation in both families, whichever it has."""
    hairpin = not world.daemon.userland_proxy
    for family in world.families():
        tables, has = world.tables[family], family in network.families
        if network.internal:
            if has:
                internal(tables, network, family, STAGE_1, FORWARD)
            continue
        if has:
            world.ip_sets[family][SETS[family]][str(network.subnet(family))] = None
            source_nat(tables, network, family, hairpin)
            skip_nat(world, tables, network, family)
            if network.modes[family] == "routed":
                route(tables, network)
        isolate(tables, network)
        if has:
            outgoing(tables, network, family, FORWARD)
            unpublished(tables, network, family)


def remove(world: HostState, network: LiveNetwork) -> None:
    """Take the rules of a network out again."""
    for family in world.families():
        tables = world.tables[family]
        for table, chain, text in texts(network, family, STAGE_1, FORWARD):
            tables.delete(table, chain, text)
        remove_isolation(tables, network)
        if family in network.families:
            world.ip_sets[family][SETS[family]].pop(str(network.subnet(family)), None)
