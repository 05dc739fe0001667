"""A container's rules beside its ports: nobody reaches its address directly (filterDirectAccess)."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.docker.host_state import Endpoint, HostState, LiveNetwork
from netlab.engine.docker_29_nftables.chains import RAW, RAW_PORTS, tables
from netlab.engine.nft import WorkingNftChain


def add(state: HostState, network: LiveNetwork, endpoint: Endpoint) -> None:
    """Drop what comes for the container's address from anywhere but its bridge, before routing."""
    if state.daemon.allow_direct_routing:
        return
    reason = f"{endpoint.node} on {network.title} may not be reached by its own address"
    for chain, text in _rules(state, network, endpoint):
        chain.add(RAW_PORTS, text, reason)


def remove(state: HostState, network: LiveNetwork, endpoint: Endpoint) -> None:
    """Take the drops out again."""
    for chain, text in _rules(state, network, endpoint):
        chain.remove(RAW_PORTS, text)


def _rules(
    state: HostState, network: LiveNetwork, endpoint: Endpoint
) -> Iterator[tuple[WorkingNftChain, str]]:
    for family, table in tables(state):
        if family not in endpoint.addresses or network.internal or network.modes[family] != "nat":
            continue
        names = sorted({network.bridge, *network.trusted})
        quoted = ", ".join(f'"{name}"' for name in names)
        match = f"iifname != {quoted}" if len(names) == 1 else f"iifname != {{ {quoted} }}"
        text = f"{family.nft} daddr {endpoint.addresses[family]} {match}"
        yield table.chains[RAW], f'{text} counter drop comment "DROP DIRECT ACCESS"'
