"""A published port's rules (ChainInfo.Forward)."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.docker.chains import DOCKER
from netlab.engine.docker.host_state import Binding, HostState, LiveNetwork
from netlab.model.family import endpoint


def add(state: HostState, network: LiveNetwork, binding: Binding) -> None:
    """Append the rules of a port; existing ones (of a port that is published twice) stay where they are."""
    if binding.translated and binding.family in state.families() and not network.internal:
        for table, chain, text, reason in _rules(state, network, binding):
            state.tables[binding.family].append(table, chain, text, reason)


def remove(state: HostState, network: LiveNetwork, binding: Binding) -> None:
    """Take the rules of a port out again."""
    if binding.translated and binding.family in state.families():
        for table, chain, text, _ in _rules(state, network, binding):
            state.tables[binding.family].delete(table, chain, text)


def _rules(state: HostState, network: LiveNetwork, binding: Binding) -> Iterator[tuple[str, str, str, str]]:
    br, protocol, port = network.bridge, binding.protocol, binding.port
    host = f"{binding.address}/{binding.family.bits}"
    match = f"-p {protocol} -m {protocol}"
    reason = f"port {port} of {binding.node} on {network.title}, published"
    if binding.host_port:
        to = endpoint(binding.address, port)
        yield "nat", DOCKER, f"{_dnat_match(state, network, binding)} -j DNAT --to-destination {to}", reason
    yield "filter", DOCKER, f"-d {host} ! -i {br} -o {br} {match} --dport {port} -j ACCEPT", reason
    if binding.host_port:
        yield (
            "nat",
            "POSTROUTING",
            f"-s {host} -d {host} {match} --dport {port} -j MASQUERADE",
            f"{reason}: {binding.node} may reach itself by it",
        )
    if protocol == "sctp":
        yield (
            "mangle",
            "POSTROUTING",
            f"-p sctp -m sctp --sport {port} -j CHECKSUM --checksum-fill",
            f"{reason}: the veth leaves SCTP checksums to the hardware",
        )


def _dnat_match(state: HostState, network: LiveNetwork, binding: Binding) -> str:
    words = []
    if binding.host_address != binding.family.any:
        words.append(f"-d {binding.host_address}/{binding.family.bits}")
    if state.daemon.userland_proxy:
        words.append(f"! -i {network.bridge}")
    words.append(f"-p {binding.protocol} -m {binding.protocol} --dport {binding.host_port}")
    return " ".join(words)
