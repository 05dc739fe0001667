"""A network's rules (iptabler/network.go): no isolation stages, and no RETURN in nat DOCKER."""

from __future__ import annotations

from netlab.engine.docker_28.network import forwarding, internal, source_nat, texts
from netlab.engine.docker_29.chains import INTERNAL
from netlab.engine.world import LiveNetwork, World


def add(world: World, network: LiveNetwork) -> None:
    """Put in the rules of a network: behind those of the others, but for NAT."""
    hairpin = not world.daemon.userland_proxy
    for family in world.families():
        if family not in network.families:
            continue
        tables = world.tables[family]
        if network.internal:
            internal(tables, network, family, INTERNAL)
            continue
        source_nat(tables, network, family, hairpin)
        forwarding(tables, network, family, discovery=True)


def remove(world: World, network: LiveNetwork) -> None:
    """Take the rules of a network out again."""
    for family in world.families():
        for table, chain, text in texts(network, family, INTERNAL):
            world.tables[family].delete(table, chain, text)
