"""A container's rules beside its ports: nobody reaches its address directly (filterDirectAccess)."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.docker.host_state import Endpoint, HostState, LiveNetwork
from netlab.model.family import Family


def add(state: HostState, network: LiveNetwork, endpoint: Endpoint) -> None:
    """Drop what comes for the container's address from anywhere but its bridge, before routing.

    28.0 and 28.1 drop what comes for its published ports, and leave the rest to chain DOCKER.
    """
    if state.daemon.allow_direct_routing or state.traits.drops_direct_access != "all" or not state.raw_rules:
        return
    for family, text, reason in _rules(state, network, endpoint):
        state.tables[family].append("raw", "PREROUTING", text, reason)


def remove(state: HostState, network: LiveNetwork, endpoint: Endpoint) -> None:
    """Take the drops out again; an empty table stays."""
    for family, text, _ in _rules(state, network, endpoint):
        state.tables[family].delete("raw", "PREROUTING", text)


def _rules(state: HostState, network: LiveNetwork, endpoint: Endpoint) -> Iterator[tuple[Family, str, str]]:
    for family, address in endpoint.addresses.items():
        if family not in state.families() or network.internal or network.modes[family] != "nat":
            continue
        host = f"{address}/{family.bits}"
        for interface in network.trusted:
            reason = f"{interface} may reach {endpoint.node} on {network.title} directly (trusted)"
            yield family, f"-d {host} -i {interface} -j ACCEPT", reason
        reason = f"{endpoint.node} on {network.title} may not be reached by its own address"
        yield family, f"-d {host} ! -i {network.bridge} -j DROP", reason
