"""A legacy link's rules (nftabler/link.go)."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.docker.host_state import HostState, Link, LiveNetwork
from netlab.engine.docker_29_nftables.chains import FORWARD_LINKS
from netlab.engine.nft import WorkingNftChain
from netlab.model.family import Family


def add(state: HostState, network: LiveNetwork, link: Link) -> None:
    """Append a rule for each direction."""
    reason = f"{link.node} is linked to port {link.port} of {link.target}"
    for chain, text in _rules(state, network, link):
        chain.add(FORWARD_LINKS, text, reason)


def remove(state: HostState, network: LiveNetwork, link: Link) -> None:
    """Take both rules out again."""
    for chain, text in _rules(state, network, link):
        chain.remove(FORWARD_LINKS, text)


def _rules(state: HostState, network: LiveNetwork, link: Link) -> Iterator[tuple[WorkingNftChain, str]]:
    family = Family.of(link.address)
    table = state.nft.tables.get(family)
    if table is None:
        return
    chain = table.chains[f"filter-forward-in__{network.bridge}"]
    one, other, protocol = link.address, link.target_address, link.protocol
    yield chain, f"ip saddr {one} ip daddr {other} {protocol} dport {link.port} counter accept"
    yield chain, f"ip daddr {one} ip saddr {other} {protocol} sport {link.port} counter accept"
