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

from netlab.model.family import IPV6_MIN_MTU, Address, Family, Network, bare
from netlab.model.plan import Interface, Node, Publication, Route
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.scenario import Scenario
from netlab.plan.events import replicas
from netlab.scenario.addresses import unfit, wrong_interface
from netlab.scenario.sysctls import interface_of
from netlab.scenario.tree import hint, shown

_ALWAYS = ("all", "default", "lo")


def check_kernel(scenario: Scenario, nodes: Sequence[Node], publications: Iterable[Publication]) -> None:
    """Raise ScenarioError with everything that the kernel would refuse of the nodes."""
    places = _positions(scenario)
    parts = dict(_parts(scenario))
    otherwise = scenario.hosts[0].position
    spaces = _spaces(nodes)
    problems = [
        Problem(parts.get((node.name, part)) or places.get(node.name, otherwise), f"{node.name}: {wrong}")
        for space in spaces.values()
        for node, wrong, part in space.refusals()
    ]
    problems += _unbound(nodes, publications, places)
    problems += _policy_routes(scenario, spaces)
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


def _parts(scenario: Scenario) -> Iterator[tuple[tuple[str, Route | str], Position]]:
    """(node, one of its routes, or an interface's name) → where the scenario has it."""
    plugged = [(host.name, host.interfaces) for host in scenario.hosts]
    plugged += [(node.name, node.interfaces) for node in scenario.outside]
    for name, interfaces in plugged:
        for interface in interfaces:
            if interface.position is not None:
                yield (name, interface.name), interface.position
    for host in scenario.hosts:
        for route in host.routes:
            yield (host.name, Route(route.destination, route.via, route.interface)), route.position
    for node in scenario.outside:
        if not isinstance(node.routes, str):
            for (destination, via), position in zip(node.routes, node.route_positions, strict=False):
                yield (node.name, Route(destination, via)), position


def _policy_routes(scenario: Scenario, spaces: Mapping[str, _Space]) -> Iterator[Problem]:
    """Routes of a host's in other tables than main, which ``ip route`` adds."""
    for host in scenario.hosts:
        for route in host.routes:
            if route.table is not None:
                wrong = spaces[host.name].wrong_route(Route(route.destination, route.via, route.interface))
                if wrong:
                    yield Problem(route.position, f"{host.name}: {wrong}")


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

    def refusals(self) -> Iterator[tuple[Node, str, Route | str]]:
        """(node, what the kernel would refuse of it, the route or interface that it is about, if any)."""
        for node, wrong in (*self.twice, *self._sysctls(), *self._sockets()):
            yield node, wrong, ""
        for node in self.nodes:
            for interface in node.interfaces:
                yield from ((node, wrong, interface.name) for wrong in self._of_interface(interface))
        yield from self._routes()

    def _of_interface(self, interface: Interface) -> Iterator[str]:
        wrong = wrong_interface(interface.name)
        if wrong:
            yield wrong
        for address in interface.addresses:
            wrong = unfit(ipaddress.ip_address(bare(address)))
            if wrong:
                yield f"{interface.name}: the address {address} {wrong}"
        yield from self._too_small(interface)

    def _sysctls(self) -> Iterator[tuple[Node, str]]:
        for node in self.nodes:
            for sysctl in node.sysctls:
                named = interface_of(sysctl.key)
                if named is not None and named not in _ALWAYS and named not in self.interfaces:
                    yield (
                        node,
                        f"the sysctl {sysctl.key} names the interface {shown(named)}, which is not there",
                    )

    def _too_small(self, interface: Interface) -> Iterator[str]:
        """The kernel takes IPv6 off an interface whose MTU is smaller than IPv6 demands (addrconf_notify).

        A bridge gets its MTU from its ports, when it has its addresses already.
        """
        own = [address for address in interface.addresses if Family.of(address) is Family.IPV6]
        small = interface.kind != "bridge" and interface.mtu < IPV6_MIN_MTU
        if own and small and self.speaks_ipv6(interface.name):
            yield (
                f"{interface.name}: IPv6 needs an MTU of {IPV6_MIN_MTU}, so with one of {interface.mtu} the "
                f"interface cannot have the address {own[0]}"
            )

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

    def wrong_route(self, route: Route) -> str | None:
        """Why the kernel would refuse one of its routes."""
        return self._no_interface(route) or _wrong_gateway(route, list(self._links()))

    def _no_interface(self, route: Route) -> str | None:
        if route.interface is None or route.interface in (*self.interfaces, "lo"):
            return None
        where = f"the route {route.destination} names the interface {shown(route.interface)}"
        return f"{where}, which is not there{hint(route.interface, self.interfaces)}"

    def _routes(self) -> Iterator[tuple[Node, str, Route]]:
        if not any(node.routes for node in self.nodes):
            return
        links = list(self._links())
        taken = {str(network) for _, network in links if network.version == 4}
        for node in self.nodes:
            for route in node.routes:
                family = Family.of(route.via or route.source or route.destination)
                if family is Family.IPV6 and not any(map(self.speaks_ipv6, self.interfaces)):
                    continue
                wrong = self._no_interface(route) or _wrong_gateway(route, links)
                if wrong:
                    yield node, wrong, route
                key = f"{family} default" if route.destination == "default" else route.destination
                if route.metric is not None:
                    continue  # it stands beside others
                if route.via is not None and key in taken:
                    yield node, f"there are two routes to {route.destination} ({family.word})", route
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
