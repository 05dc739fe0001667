"""A published port's rules (iptabler/port.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from netlab.engine.docker.chains import DOCKER
from netlab.engine.docker.host_state import Binding, HostState, LiveNetwork
from netlab.engine.tables import Tables
from netlab.model.family import Family, endpoint


def add(state: HostState, network: LiveNetwork, binding: Binding) -> None:
    """NAT rules go after those of other ports, the ACCEPT to the top of its chain."""
    family = Family.of(binding.address)
    if family not in state.families() or network.internal:
        return
    tables, reason = state.tables[family], _reason(network, binding)
    if state.raw_rules:
        for text, why in _raw(state, network, binding):
            tables.append("raw", "PREROUTING", text, f"{reason}{why}")
    if not binding.translated:
        return
    if binding.host_port:
        tables.append("nat", DOCKER, _dnat(state, network, binding), reason)
        if not state.daemon.userland_proxy:
            tables.append(
                "nat", "POSTROUTING", _hairpin(binding), f"{reason}: {binding.node} may reach itself by it"
            )
    if network.modes[family] != "nat-unprotected":
        tables.insert("filter", DOCKER, _accept(network, binding), reason)


def remove(state: HostState, network: LiveNetwork, binding: Binding) -> None:
    """Take the rules of a port out again."""
    family = Family.of(binding.address)
    if family not in state.families():
        return
    tables: Tables = state.tables[family]
    for text, _ in _raw(state, network, binding):
        tables.delete("raw", "PREROUTING", text)
    if binding.translated:
        tables.delete("nat", DOCKER, _dnat(state, network, binding))
        tables.delete("nat", "POSTROUTING", _hairpin(binding))
        tables.delete("filter", DOCKER, _accept(network, binding))


def _reason(network: LiveNetwork, binding: Binding) -> str:
    return f"port {binding.port} of {binding.node} on {network.title}, published"


def _raw(state: HostState, network: LiveNetwork, binding: Binding) -> Iterator[tuple[str, str]]:
    """What is dropped before routing, and why: ports on loopback from elsewhere, containers' from outside."""
    if _on_loopback(binding):
        where = f" on {binding.host_address}"
        if state.wsl2_mirrored:
            yield _mirrored(binding), f"{where}: Windows reaches it by loopback0 (WSL2, mirrored mode)"
        yield _loopback(binding), f"{where}: not for others"
    family = Family.of(binding.address)
    if state.traits.drops_direct_access == "published" and network.modes[family] == "nat":
        host = f"{binding.address}/{family.bits}"
        text = f"-d {host} ! -i {network.bridge} {_match(binding, binding.port)} -j DROP"
        yield text, ": not by the container's own address"


def _on_loopback(binding: Binding) -> bool:
    address = ipaddress.ip_address(binding.host_address)
    return address.version == 4 and address.is_loopback and binding.host_port != 0


def _match(binding: Binding, port: int) -> str:
    return f"-p {binding.protocol} -m {binding.protocol} --dport {port}"


def _loopback(binding: Binding) -> str:
    host = f"{binding.host_address}/{binding.family.bits}"
    return f"-d {host} ! -i lo {_match(binding, binding.host_port)} -j DROP"


def _mirrored(binding: Binding) -> str:
    host = f"{binding.host_address}/{binding.family.bits}"
    return f"-d {host} -i loopback0 {_match(binding, binding.host_port)} -j ACCEPT"


def _dnat(state: HostState, network: LiveNetwork, binding: Binding) -> str:
    words = []
    if binding.family is Family.IPV6:
        words.append("! -s fe80::/10")
    if binding.host_address != binding.family.any:
        words.append(f"-d {binding.host_address}/{binding.family.bits}")
    if state.daemon.userland_proxy:
        words.append(f"! -i {network.bridge}")
    words.append(_match(binding, binding.host_port))
    return f"{' '.join(words)} -j DNAT --to-destination {endpoint(binding.address, binding.port)}"


def _hairpin(binding: Binding) -> str:
    host = f"{binding.address}/{binding.family.bits}"
    return f"-s {host} -d {host} {_match(binding, binding.port)} -j MASQUERADE"


def _accept(network: LiveNetwork, binding: Binding) -> str:
    host, br = f"{binding.address}/{binding.family.bits}", network.bridge
    return f"-d {host} ! -i {br} -o {br} {_match(binding, binding.port)} -j ACCEPT"
