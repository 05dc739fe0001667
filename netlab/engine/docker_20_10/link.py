"""A legacy link's rules (ChainInfo.Link)."""

from __future__ import annotations

from netlab.engine.docker.chains import DOCKER
from netlab.engine.docker.host_state import HostState, Link, LiveNetwork
from netlab.model.family import Family


def add(state: HostState, network: LiveNetwork, link: Link) -> None:
    """Append a rule for each direction."""
    for family in state.families():
        if family is Family.of(link.address):
            for text, reason in texts(network, link):
                state.tables[family].append("filter", DOCKER, text, reason)


def remove(state: HostState, network: LiveNetwork, link: Link) -> None:
    """Take both rules out again."""
    for family in state.families():
        for text, _ in texts(network, link):
            state.tables[family].delete("filter", DOCKER, text)


def texts(network: LiveNetwork, link: Link) -> tuple[tuple[str, str], tuple[str, str]]:
    """The rule of the way there, and that of the way back, each with its reason."""
    br, bits = network.bridge, Family.of(link.address).bits
    one, other = f"{link.address}/{bits}", f"{link.target_address}/{bits}"
    match = f"-i {br} -o {br} -p {link.protocol} -m {link.protocol}"
    reason = f"{link.node} is linked to port {link.port} of {link.target}"
    return (
        (f"-s {one} -d {other} {match} --dport {link.port} -j ACCEPT", reason),
        (f"-s {other} -d {one} {match} --sport {link.port} -j ACCEPT", f"{reason}: the way back"),
    )
