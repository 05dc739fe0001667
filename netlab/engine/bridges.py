"""A state for engines whose networks are bridges: networks and containers in order, never changed.

An engine adds to it in ``step`` and turns it into :class:`~netlab.engine.contract.HostFacts` in ``describe``:
bridges, links, addresses, default routes and published ports come from here, rules and settings from the
engine.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from netlab.engine.contract import ContainerState, HostFacts, NetworkState
from netlab.engine.ipam import AddressPool, PoolError
from netlab.engine.refusal import Refused
from netlab.model.event import ContainerSpec, EndpointSpec, NetworkSpec
from netlab.model.family import Address, Family, Network
from netlab.model.identifiers import mac
from netlab.model.plan import Interface, NetworkFacts, Publication, Route
from netlab.model.scenario import Host


@dataclass(frozen=True, slots=True)
class BridgeNetwork:
    """A network with its bridge, which has the gateway's address in each subnet."""

    spec: NetworkSpec
    bridge: str
    subnets: tuple[Network, ...]
    gateways: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class BridgeMember:
    """A container's link to one network: its name inside and on the host, and an address in each subnet."""

    network: BridgeNetwork
    interface: str
    port: str
    addresses: tuple[Address, ...]

    @property
    def prefixed(self) -> tuple[str, ...]:
        """The addresses with the prefix lengths of their subnets."""
        subnets = {subnet.version: subnet.prefixlen for subnet in self.network.subnets}
        return tuple(f"{address}/{subnets[address.version]}" for address in self.addresses)


@dataclass(frozen=True, slots=True)
class BridgeContainer:
    """A container and its links; the first network is the way out."""

    spec: ContainerSpec
    members: tuple[BridgeMember, ...]


@dataclass(frozen=True, slots=True)
class BridgeHost:
    """What was made on a host, in order."""

    host: Host
    networks: tuple[BridgeNetwork, ...] = ()
    containers: tuple[BridgeContainer, ...] = ()

    def with_network(self, spec: NetworkSpec, bridge: str, subnet: str) -> BridgeHost:
        """With one more network; ``subnet`` is that of a network which asks for none."""
        pools = [pool for pool in spec.pools if pool.subnet]
        subnets = tuple(ipaddress.ip_network(pool.subnet or "") for pool in pools)
        subnets = subnets or (ipaddress.ip_network(subnet),)
        wanted = {ipaddress.ip_address(pool.gateway) for pool in pools if pool.gateway}
        gateways = tuple(next((g for g in wanted if g in each), each[1]) for each in subnets)
        return replace(self, networks=(*self.networks, BridgeNetwork(spec, bridge, subnets, gateways)))

    def with_container(self, spec: ContainerSpec, port: str) -> BridgeHost:
        """With one more container; its links are ``port`` and a number. Raises :class:`Refused`."""
        known = {network.spec.name: network for network in self.networks}
        taken = sum(len(container.members) for container in self.containers)
        members = []
        for number, endpoint in enumerate(spec.endpoints):
            if endpoint.network not in known:
                raise Refused("container", spec.node, f"there is no network {endpoint.network}")
            network = known[endpoint.network]
            addresses = tuple(self._addresses(spec.node, network, endpoint))
            members.append(BridgeMember(network, f"eth{number}", f"{port}{taken + number}", addresses))
        return replace(self, containers=(*self.containers, BridgeContainer(spec, tuple(members))))

    def _addresses(self, node: str, network: BridgeNetwork, endpoint: EndpointSpec) -> Iterator[Address]:
        """The address that was asked for in each subnet, or else the lowest that is free."""
        used = [str(a) for _, member in self._members(network) for a in member.addresses]
        for subnet in network.subnets:
            pool = AddressPool(subnet)
            for address in (*map(str, network.gateways), *used):
                pool.reserve(address)
            asked = endpoint.ipv4_address if subnet.version == 4 else endpoint.ipv6_address
            try:
                yield pool.take(asked) if asked else pool.next()
            except PoolError as error:
                raise Refused("container", node, str(error)) from error

    def _members(self, network: BridgeNetwork) -> Iterator[tuple[BridgeContainer, BridgeMember]]:
        for container in self.containers:
            for member in container.members:
                if member.network == network:
                    yield container, member

    def published(self, family: Family) -> Iterator[tuple[Publication, str]]:
        """Each published port, and the address of that family on the container's first network.

        A port without a host's port gets the same number there, one of a range its first.
        """
        for container in self.containers:
            for member in container.members[:1]:
                address = next((str(a) for a in member.addresses if a.version == family), None)
                for mapping in container.spec.ports if address is not None else ():
                    host_port, _ = mapping.host_ports or (mapping.container_port, 0)
                    to = (container.spec.node, mapping.container_port, member.network.spec.name)
                    place = (self.host.name, mapping.host_ip, host_port, mapping.protocol)
                    yield Publication(*place, *to), str(address)

    def facts(self, engine: str, **more: Any) -> HostFacts:
        """The host as the contract has it, with ``more`` fields of :class:`HostFacts`."""
        found = {publication: None for family in Family for publication, _ in self.published(family)}
        return HostFacts(
            engine=engine,
            networks=tuple(NetworkState(n.spec, self._network(n)) for n in self.networks),
            containers=tuple(self._container(container) for container in self.containers),
            interfaces=tuple(self._interfaces()),
            publications=tuple(found),
            **more,
        )

    def _interfaces(self) -> Iterator[Interface]:
        for network in self.networks:
            pairs = zip(network.gateways, network.subnets, strict=True)
            addresses = tuple(f"{gateway}/{subnet.prefixlen}" for gateway, subnet in pairs)
            yield Interface(network.bridge, "bridge", mac(network.bridge), addresses=addresses)
        for container in self.containers:
            for member in container.members:
                peer = (container.spec.node, member.interface)
                bridge = member.network.bridge
                yield Interface(member.port, "veth", mac(member.port), peer=peer, master=bridge)

    def _container(self, container: BridgeContainer) -> ContainerState:
        node = container.spec.node
        ways = [member.network for member in container.members[:1] if not member.network.spec.internal]
        return ContainerState(
            spec=container.spec,
            interfaces=tuple(
                Interface(
                    member.interface,
                    "veth",
                    mac(node, member.interface),
                    peer=(self.host.name, member.port),
                    addresses=member.prefixed,
                )
                for member in container.members
            ),
            routes=tuple(Route("default", via=str(g)) for network in ways for g in network.gateways),
        )

    def _network(self, network: BridgeNetwork) -> NetworkFacts:
        return NetworkFacts(
            name=network.spec.name,
            key=network.spec.label,
            host=self.host.name,
            bridge=network.bridge,
            subnets=tuple(map(str, network.subnets)),
            gateways=tuple(map(str, network.gateways)),
            internal=network.spec.internal,
            members=tuple((c.spec.node, m.interface, m.prefixed) for c, m in self._members(network)),
        )
