"""Published ports of a container on one network (netavark, varktables: get_port_forwarding_chains)."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.podman.host_state import Container, Endpoint, HostState, LiveNetwork, Published
from netlab.engine.podman.settings import DNS_PORT
from netlab.engine.podman_4.chains import DNAT, MARK, MASQ, SETMARK, dnat_chain_of
from netlab.engine.tables import Tables
from netlab.model.family import Family, endpoint


def setup(state: HostState, network: LiveNetwork, container: Container, own: Endpoint) -> None:
    """The chains that all ports share, then the rules of every port."""
    for family in own.addresses:
        tables = state.tables[family]
        base(tables)
        for text in dns(state, network, family)[:1]:  # UDP alone
            tables.append("nat", DNAT, text, dns_reason(network))
        publish(state, network, container, own, family)


def publish(
    state: HostState, network: LiveNetwork, container: Container, own: Endpoint, family: Family
) -> None:
    """The rules of every port, behind those that are there."""
    tables = state.tables[family]
    if container.published:
        tables.new_chain("nat", dnat_chain_of(network))
    for chain, text, reason in _rules(state, network, container, own, family):
        tables.append("nat", chain, text, reason)


def base(tables: Tables) -> None:
    """What is there once a container runs, whether or not it publishes anything; it stays for ever."""
    for chain in (SETMARK, MASQ, DNAT):
        tables.new_chain("nat", chain)
    tables.append(
        "nat", SETMARK, f"-j MARK --set-xmark {MARK}", "mark what has to be masqueraded behind its DNAT"
    )
    tables.append(
        "nat",
        MASQ,
        f'-m comment --comment "netavark portfw masq mark" -m mark --mark {MARK} -j MASQUERADE',
        "what was marked on its way to a published port takes the address of the bridge",
    )
    tables.insert("nat", "POSTROUTING", f"-j {MASQ}", "first of all, what was marked")
    for chain, who in (("PREROUTING", "others send"), ("OUTPUT", "the host itself sends")):
        text = f"-m addrtype --dst-type LOCAL -j {DNAT}"
        tables.append("nat", chain, text, f"what {who} to an address of the host may be for a published port")


def dns(state: HostState, network: LiveNetwork, family: Family) -> list[str]:
    """What leads to aardvark-dns where it has another port than 53: UDP, TCP."""
    port, gateway = state.dns_port, str(network.gateway(family))
    to = endpoint(gateway, port)
    return [
        f"-d {gateway}/{family.bits} -p {word} -m {word} --dport 53 -j DNAT --to-destination {to}"
        for word in (("udp", "tcp") if port != DNS_PORT else ())
    ]


def dns_reason(network: LiveNetwork) -> str:
    """Why there is such a rule."""
    return f"names of {network.title} are asked at port 53, and aardvark-dns has another one (dns_bind_port)"


def teardown(state: HostState, network: LiveNetwork, container: Container, own: Endpoint) -> None:
    """Delete the container's rules."""
    for family in own.addresses:
        for chain, text, _ in _rules(state, network, container, own, family):
            state.tables[family].delete("nat", chain, text)


def teardown_last(state: HostState, network: LiveNetwork, container: Container, own: Endpoint) -> None:
    """Delete the chain with the network's ports; it is left if the last container published nothing."""
    for family in own.addresses:
        for text in dns(state, network, family):
            state.tables[family].delete("nat", DNAT, text)
        if container.published:
            state.tables[family].remove_chain("nat", dnat_chain_of(network))


def _rules(
    state: HostState, network: LiveNetwork, container: Container, own: Endpoint, family: Family
) -> Iterator[tuple[str, str, str]]:
    """(chain, text, reason) of every port, in order."""
    chain, subnet = dnat_chain_of(network), network.subnet(family)
    comment = f'-m comment --comment "dnat name: {network.name} id: {container.spec.id}"'
    for port in container.published:
        address = port.address(family)
        if address is None:
            continue
        reason = f"{port.title} of {container.spec.node} on {network.title}, published"
        if port.host_ip == family.any and not state.traits.reads_unspecified:
            address = port.host_ip
        daddr = f"-d {address}/{family.bits} " if address else ""
        match = f"-p {port.protocol} -m {port.protocol} --dport {_range(port.host_port, port.count, ':')}"
        yield DNAT, f"{match} {comment} -j {chain}", reason
        hairpin = f"{reason}: containers on {network.title} get their answers by way of the host"
        yield chain, f"-s {subnet} {daddr}{match} -j {SETMARK}", hairpin
        localhost = f"{reason}: {family.loopback} would be no sender outside the host"
        yield chain, f"-s {family.loopback}/{family.bits} {daddr}{match} -j {SETMARK}", localhost
        yield chain, f"{daddr}{match} -j DNAT --to-destination {_target(port, own, family)}", reason


def _range(first: int, count: int, between: str) -> str:
    return str(first) if count == 1 else f"{first}{between}{first + count - 1}"


def _target(port: Published, own: Endpoint, family: Family) -> str:
    """Where to; a range is the kernel's shifted one: ``192.168.10.10:8000-8004/9000``."""
    to = endpoint(str(own.addresses[family]), port.container_port)
    return to if port.count == 1 else f"{to}-{port.container_port + port.count - 1}/{port.host_port}"
