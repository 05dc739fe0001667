"""Find what the kernel would refuse in a plan, before anything is built.

It applies the kernel's rules to the plan's data: names of interfaces, addresses, gateways, sockets that two
claim. Most errors are reported with their exact position when the scenario is read; those that only the whole
plan shows (a gateway that no address reaches, an address that no interface of the host has) are reported
here, with the position of the service, host or outside node.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netlab.model.family import Address, Family, Network, bare
from netlab.model.plan import Interface, Node, Publication, Route
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.scenario import Scenario
from netlab.plan.events import replicas
from netlab.scenario.addresses import unfit, wrong_interface
from netlab.scenario.sysctls import interface_of
from netlab.scenario.tree import shown

_ALWAYS = ("all", "default", "lo")


def check_kernel(scenario: Scenario, nodes: Sequence[Node], publications: Iterable[Publication]) -> None:
    """Raise ScenarioError with everything that the kernel would refuse of the nodes."""
    places = _positions(scenario)
    otherwise = scenario.hosts[0].position
    found = [(node, wrong) for space in _spaces(nodes).values() for node, wrong in space.refusals()]
    problems = [Problem(places.get(node.name, otherwise), f"{node.name}: {wrong}") for node, wrong in found]
    problems += _unbound(nodes, publications, places)
    if problems:
        raise ScenarioError(sorted(dict.fromkeys(problems)))


def _unbound(
    nodes: Sequence[Node], publications: Iterable[Publication], places: Mapping[str, Position]
) -> Iterator[Problem]:
    """Ports that are published on an address that their host lacks, at the service."""
    spaces = _spaces(nodes)
    own = {name: frozenset(space.addresses()) for name, space in spaces.items()}
    for port in publications:
        if port.host_address and not spaces[port.host].can_bind(port.host_address, own[port.host]):
            what = f"{port.node}: port {port.container_port}/{port.protocol} cannot be published on"
            yield Problem(
                places[port.node], f"{what} {port.host_address}: no interface of {port.host} has this address"
            )


def _positions(scenario: Scenario) -> dict[str, Position]:
    found = {outside.name: outside.position for outside in scenario.outside}
    found |= {host.name: host.position for host in scenario.hosts}
    return found | {
        replica.node: service.position
        for service in scenario.services
        for replica in replicas(scenario, service)
    }


def _spaces(nodes: Iterable[Node]) -> dict[str, _Space]:
    found: dict[str, _Space] = {}
    for node in nodes:
        found.setdefault(node.namespace, _Space()).add(node)
    return found


@dataclass(slots=True)
class _Space:
    """One network namespace, of one node or of several that share it."""

    nodes: list[Node] = field(default_factory=list)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    twice: list[tuple[Node, str]] = field(default_factory=list)

    def add(self, node: Node) -> None:
        """One more node in this namespace."""
        self.nodes.append(node)
        self.settings |= {sysctl.key: sysctl.value for sysctl in node.sysctls}
        for interface in node.interfaces:
            if self.interfaces.setdefault(interface.name, interface) is not interface:
                self.twice.append((node, f"there are two interfaces named {shown(interface.name)}"))

    def refusals(self) -> Iterator[tuple[Node, str]]:
        """(node, what the kernel would refuse of it)."""
        yield from self.twice
        for node in self.nodes:
            for interface in node.interfaces:
                wrong = wrong_interface(interface.name)
                if wrong:
                    yield node, wrong
                for address in interface.addresses:
                    wrong = unfit(ipaddress.ip_address(bare(address)))
                    if wrong:
                        yield node, f"{interface.name}: the address {address} {wrong}"
            for sysctl in node.sysctls:
                named = interface_of(sysctl.key)
                if named is not None and named not in _ALWAYS and named not in self.interfaces:
                    yield (
                        node,
                        f"the sysctl {sysctl.key} names the interface {shown(named)}, which is not there",
                    )
        yield from self._routes()
        yield from self._sockets()

    def speaks_ipv6(self, interface: str) -> bool:
        """Whether IPv6 is on for an interface."""
        key = "net.ipv6.conf.{}.disable_ipv6"
        names = (interface.replace(".", "/"), "default", "all")
        return next((v == "0" for n in names if (v := self.settings.get(key.format(n))) is not None), True)

    # -- routes

    def _links(self) -> Iterator[tuple[str, Network]]:
        for interface in self.interfaces.values():
            for text in interface.addresses:
                if interface.up and (Family.of(text) is Family.IPV4 or self.speaks_ipv6(interface.name)):
                    yield interface.name, ipaddress.ip_interface(text).network

    def _routes(self) -> Iterator[tuple[Node, str]]:
        if not any(node.routes for node in self.nodes):
            return
        links = list(self._links())
        taken = {str(network) for _, network in links if network.version == 4}
        for node in self.nodes:
            for route in node.routes:
                family = Family.of(route.via or route.source or route.destination)
                if family is Family.IPV6 and not any(map(self.speaks_ipv6, self.interfaces)):
                    continue
                wrong = _wrong_gateway(route, links)
                if wrong:
                    yield node, wrong
                key = f"{family} default" if route.destination == "default" else route.destination
                if route.via is not None and key in taken:
                    yield node, f"there are two routes to {route.destination} ({family.word})"
                if route.via is not None:
                    taken.add(key)

    # -- sockets

    def _sockets(self) -> Iterator[tuple[Node, str]]:
        taken: dict[tuple[str, int], str] = {}
        for node in self.nodes:
            for listener in node.listeners:
                taken.setdefault((listener.protocol, listener.port), listener.reason)
        for node in self.nodes:
            for responder in node.responders:
                what = f"{responder.port}/{responder.protocol}"
                first = taken.setdefault((responder.protocol, responder.port), f"{node.name} answers on it")
                if first != f"{node.name} answers on it":
                    yield (
                        node,
                        f"it would answer on {what}, which is taken in the network that it shares: {first}",
                    )

    def addresses(self) -> Iterator[Address]:
        """Those of all interfaces, in the families that are on."""
        for interface in self.interfaces.values():
            for text in interface.addresses:
                if Family.of(text) is Family.IPV4 or self.speaks_ipv6(interface.name):
                    yield ipaddress.ip_address(bare(text))

    def can_bind(self, text: str, own: frozenset[Address]) -> bool:
        """Whether a socket may be bound to an address, if the interfaces have ``own``."""
        address = ipaddress.ip_address(text)
        if address.is_unspecified or address.is_loopback or address in own:
            return True
        if address.version == 4 and address.is_multicast:
            return True  # bind(2) takes one
        return self.settings.get(f"net.ipv{address.version}.ip_nonlocal_bind", "0") != "0"


def _wrong_gateway(route: Route, links: Sequence[tuple[str, Network]]) -> str | None:
    """Why the kernel would refuse a gateway; None if it would not (fib_check_nh, ip6_route_check_nh)."""
    if route.via is None:
        return None
    hop = ipaddress.ip_address(route.via)
    words = f"the route {route.destination} via {hop}"
    if hop.is_unspecified or hop.is_multicast or hop.is_loopback:
        return f"{words}: no gateway can have this address"
    if hop.version == 6 and hop.is_link_local:
        return None if route.interface else f"{words}: a link-local gateway belongs to one interface"
    here = [net for name, net in links if net.version == hop.version and route.interface in (None, name)]
    near = [net for net in here if hop in net]
    if not near:
        subnets = ", ".join(map(str, here)) or f"it has no IPv{hop.version} address"
        return f"{words}: the gateway is on none of its subnets ({subnets})"
    if hop.version == 4 and any(net.prefixlen < 31 and hop == net.broadcast_address for net in near):
        return f"{words}: the gateway is the broadcast address of {near[0]}"
    if hop.version == 4 and int(hop) >> 24 == 0:
        return f"{words}: no gateway can have an address of 0.0.0.0/8"
    return None
