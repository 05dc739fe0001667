"""A published port's rules (nftabler/port.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from netlab.engine.docker.host_state import Binding, HostState, LiveNetwork
from netlab.engine.docker_29_nftables.chains import FORWARD_PORTS, INITIAL, NAT, RAW, RAW_PORTS
from netlab.engine.nft import WorkingNftTable
from netlab.engine.refusal import Refused
from netlab.model.family import Family, endpoint


def add(state: HostState, network: LiveNetwork, binding: Binding) -> None:
    """Append the rules of a port to their groups.

    Raises :class:`Refused` without the userland proxy, where one container port is published twice.
    """
    reason = f"port {binding.port} of {binding.node} on {network.title}, published"
    for chain, group, text in _rules(state, network, binding):
        added = _table(state, binding).chains[chain].add(group, text, reason)
        if not added and "masquerade" in text:
            failed = f"driver failed programming external connectivity: adding {text!r}: rule exists"
            raise Refused("container", binding.node, failed)


def remove(state: HostState, network: LiveNetwork, binding: Binding) -> None:
    """Take the rules of a port out again."""
    for chain, group, text in _rules(state, network, binding):
        _table(state, binding).chains[chain].remove(group, text)


def _table(state: HostState, binding: Binding) -> WorkingNftTable:
    return state.nft.tables[Family.of(binding.address)]


def _rules(state: HostState, network: LiveNetwork, binding: Binding) -> Iterator[tuple[str, int, str]]:
    family = Family.of(binding.address)
    if family not in state.nft.tables or network.internal:
        return
    host, match = f"{family.nft} daddr {binding.address}", f"{binding.protocol} dport"
    hairpin = not state.daemon.userland_proxy
    if network.modes[family] != "nat-unprotected":
        text = f"{host} {match} {binding.port} counter accept"
        yield f"filter-forward-in__{network.bridge}", FORWARD_PORTS, text
    if binding.translated and binding.host_port:
        to = endpoint(binding.address, binding.port)
        words = [] if hairpin else [f'iifname != "{network.bridge}"']
        words += ["ip6 saddr != fe80::/10"] if family is Family.IPV6 else []
        words += [] if binding.host_address == family.any else [f"{family.nft} daddr {binding.host_address}"]
        words += [f'{match} {binding.host_port} counter dnat to {to} comment "DNAT"']
        yield NAT, INITIAL, " ".join(words)
        if hairpin:
            own = f"{family.nft} saddr {binding.address} {host} {match} {binding.port}"
            yield (
                f"nat-postrouting-in__{network.bridge}",
                INITIAL,
                f'{own} counter masquerade comment "MASQ TO OWN PORT"',
            )
    if _on_loopback(binding):
        if state.wsl2_mirrored:
            text = f'iifname "loopback0" ip daddr {binding.host_address} {match} {binding.host_port}'
            yield RAW, RAW_PORTS, f'{text} counter accept comment "ACCEPT WSL2 LOOPBACK"'
        text = f'iifname != "lo" ip daddr {binding.host_address} {match} {binding.host_port}'
        yield RAW, RAW_PORTS, f'{text} counter drop comment "DROP REMOTE LOOPBACK"'


def _on_loopback(binding: Binding) -> bool:
    address = ipaddress.ip_address(binding.host_address)
    return address.version == 4 and address.is_loopback and binding.host_port != 0
