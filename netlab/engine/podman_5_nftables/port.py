"""Published ports of a container on one network (netavark, src/firewall/nft.rs: setup_port_forward)."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.podman.host_state import Container, Endpoint, HostState, LiveNetwork
from netlab.engine.podman.settings import DNS_PORT
from netlab.engine.podman_4.port import dns_reason
from netlab.engine.podman_5_nftables.chains import DNAT, SETMARK, chain_of
from netlab.model.family import Family, endpoint


def setup(state: HostState, network: LiveNetwork, container: Container, own: Endpoint) -> None:
    """Insert what leads to aardvark-dns, if it has another port than 53; append the rules of every port."""
    assert state.table is not None
    for family in own.addresses if state.dns_port != DNS_PORT else ():
        if not state.table.has(DNAT, text := _dns(state, network, family)):
            state.table.insert(DNAT, text, dns_reason(network))
    for family in own.addresses if container.published else ():
        state.table.chain(chain_of(network, family, dnat=True))
        for chain, text, reason in _rules(network, container, own, family):
            state.table.add(chain, text, reason)


def teardown(state: HostState, network: LiveNetwork, container: Container, own: Endpoint) -> None:
    """Delete every rule that is equal to one of the container's."""
    for family in own.addresses if state.table is not None else ():
        assert state.table is not None
        for chain, text, _ in _rules(network, container, own, family):
            state.table.delete_equal(chain, text)


def teardown_last(state: HostState, network: LiveNetwork, container: Container, own: Endpoint) -> None:
    """Nothing of the network is left: delete the chains with its ports."""
    del container  # whether it published anything or not
    for family in own.addresses if state.table is not None else ():
        assert state.table is not None
        state.table.drop_chain(chain_of(network, family, dnat=True))
        state.table.delete_equal(DNAT, _dns(state, network, family))


def _dns(state: HostState, network: LiveNetwork, family: Family) -> str:
    gateway, ip = str(network.gateway(family)), family.nft
    to = endpoint(gateway, state.dns_port)
    return f"{ip} daddr {gateway} meta l4proto {{ tcp, udp }} th dport 53 dnat {ip} to {to}"


def _rules(
    network: LiveNetwork, container: Container, own: Endpoint, family: Family
) -> Iterator[tuple[str, str, str]]:
    """(chain, text, reason) of every port, in order."""
    chain, ip = chain_of(network, family, dnat=True), family.nft
    for port in container.published:
        address = port.address(family)
        if address is None:
            continue
        daddr = f"{ip} daddr {address} " if address else ""
        reason = f"{port.title} of {container.spec.node} on {network.title}, published"
        match = f"{daddr}{port.protocol} dport {_range(port.host_port, port.count)}"
        yield DNAT, f"{match} jump {chain}", reason
        yield (
            chain,
            f"{ip} saddr {network.subnet(family)} {match} jump {SETMARK}",
            f"{reason}: containers on {network.title} get their answers by way of the host",
        )
        if family is Family.IPV4:
            localhost = f"{reason}: 127.0.0.1 would be no sender outside the host"
            yield chain, f"{ip} saddr {family.loopback} {match} jump {SETMARK}", localhost
        for number in range(port.count):
            to = endpoint(str(own.addresses[family]), port.container_port + number)
            one = f"{daddr}{port.protocol} dport {port.host_port + number}"
            yield chain, f"{one} dnat {ip} to {to}", reason


def _range(first: int, count: int) -> str:
    return str(first) if count == 1 else f"{first}-{first + count - 1}"
