"""A network's rules (iptabler/network.go): no isolation stages, and no RETURN in nat DOCKER."""

from __future__ import annotations

from netlab.engine.docker.daemon_json import WORD
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.docker_28.chains import FORWARD
from netlab.engine.docker_28.network import forwarding, internal, source_nat, texts
from netlab.engine.docker_29.chains import INTERNAL


def add(state: HostState, network: LiveNetwork) -> None:
    """Insert the rules of a network: after those of the others, except for NAT."""
    hairpin = not state.daemon.userland_proxy
    for family in state.families():
        if family not in network.families:
            continue
        tables = state.tables[family]
        if network.internal:
            internal(tables, network, family, INTERNAL, FORWARD)
            continue
        accept = state.daemon.accept_mark
        if accept is not None:
            tables.insert("filter", FORWARD, _marked(accept), "marked as accepted (bridge-accept-fwmark)")
        source_nat(tables, network, family, hairpin)
        forwarding(tables, network, family)


def remove(state: HostState, network: LiveNetwork) -> None:
    """Take the rules of a network out again."""
    for family in state.families():
        for table, chain, text in texts(network, family, INTERNAL, FORWARD):
            state.tables[family].delete(table, chain, text)
        if state.daemon.accept_mark is not None and family in network.families and not network.internal:
            state.tables[family].delete("filter", FORWARD, _marked(state.daemon.accept_mark))


def _marked(accept: tuple[int, int]) -> str:
    """One rule for all networks; the first network that goes takes it along (iptabler, programChainRule)."""
    mark, mask = accept
    return f"-m mark --mark {mark:#x}{'' if mask == WORD else f'/{mask:#x}'} -j ACCEPT"
