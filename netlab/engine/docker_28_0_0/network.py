"""A network's rules: those of 28, but in FORWARD itself, and its subnet in the daemon's set."""

from __future__ import annotations

from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.docker_28 import network as docker_28
from netlab.engine.docker_28_0_0.chains import SETS
from netlab.engine.tables import Tables
from netlab.model.family import Family

FORWARD = "FORWARD"


def add(state: HostState, network: LiveNetwork) -> None:
    """Put in the rules of a network; its isolation in both families, whichever it has."""
    for family in state.families():
        if family in network.families:
            if not network.internal:
                state.ip_sets[family][SETS[family]][str(network.subnet(family))] = None
            docker_28.add_family(state, network, family, FORWARD, _forwarding)
        elif not network.internal:
            docker_28.isolate(state.tables[family], network)


def remove(state: HostState, network: LiveNetwork) -> None:
    """Take the rules of a network out again."""
    docker_28.remove(state, network, FORWARD)
    for family in state.families():
        if family in network.families:
            state.ip_sets[family][SETS[family]].pop(str(network.subnet(family)), None)


def _forwarding(tables: Tables, network: LiveNetwork, family: Family) -> None:
    docker_28.outgoing(tables, network, family, FORWARD)
    docker_28.unpublished(tables, network, family)
