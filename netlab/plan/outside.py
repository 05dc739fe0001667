"""The world outside of the hosts: segments, the hosts' interfaces on them, and outside nodes.

A node may also be plugged into a bridge that another tenant (LXD, libvirt) has on a host: then it is a guest
of that one's, and the bridge is its segment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netlab.model.family import FAMILIES, Family, bare
from netlab.model.identifiers import digest, mac
from netlab.model.plan import Interface, Node, Responder, Route, Sysctl
from netlab.model.scenario import Host, HostRule, Outside, OutsideInterface, Scenario

#: The length of an interface's name (IFNAMSIZ, less the final zero).
IFNAMSIZ = 15


def fitting(name: str) -> str:
    """The name, or its beginning and a hash of it if it is too long for an interface."""
    return name if len(name) <= IFNAMSIZ else f"{name[:9]}-{digest('interface', name)[:5]}"


@dataclass(slots=True)
class Segments:
    """The external segments: each is a bridge in its own namespace."""

    project: str
    #: the host of each tenant's bridge, by the bridge's name
    tenants: dict[str, str] = field(default_factory=dict)
    ports: dict[str, list[Interface]] = field(default_factory=dict)

    @classmethod
    def of(cls, scenario: Scenario) -> Segments:
        """The segments of a scenario, without connections yet."""
        found: dict[str, str] = {}
        for host in scenario.hosts:
            for bridge in host.bridges:
                found.setdefault(bridge.name, host.name)
        for interface in (one for host in scenario.hosts for one in host.interfaces):
            found.pop(interface.segment, None)
        return cls(scenario.project, found)

    def guests(self, scenario: Scenario, host: str) -> Iterator[Interface]:
        """The ports of a host's tenant bridges, to which the guests are connected."""
        for outside in scenario.outside:
            for interface in outside.interfaces:
                if self.tenants.get(interface.segment) == host:
                    yield Interface(
                        name=self._tap(outside.name, interface),
                        kind="veth",
                        mac=mac(self.project, "tenant", interface.segment, outside.name, interface.name),
                        mtu=interface.mtu,
                        peer=(outside.name, interface.name),
                        master=interface.segment,
                        reason=f"{outside.name} on {interface.segment}",
                    )

    def _tap(self, node: str, interface: OutsideInterface) -> str:
        """As LXD calls it: veth and eight hex digits."""
        return f"veth{digest(self.project, 'tenant', interface.segment, node, interface.name)[:8]}"

    def plug(self, node: str, interface: OutsideInterface, index: int | None = None) -> Interface:
        """One interface of a node, its peer plugged into the segment."""
        name = interface.segment
        if name in self.tenants:
            return Interface(
                name=interface.name,
                kind="veth",
                mac=mac(self.project, "outside", node, interface.name),
                peer=(self.tenants[name], self._tap(node, interface)),
                mtu=interface.mtu,
                addresses=interface.addresses,
                index=index,
                reason=f"guest of {name}",
            )
        port_name = fitting(f"{node}-{interface.name}")
        self.ports.setdefault(name, []).append(
            Interface(
                name=port_name,
                kind="veth",
                mac=mac(self.project, "segment", name, node, interface.name),
                mtu=interface.mtu,
                peer=(node, interface.name),
                master=fitting(name),
                reason=f"{node} on segment {name}",
            )
        )
        return Interface(
            name=interface.name,
            kind="veth",
            mac=mac(self.project, "outside", node, interface.name),
            mtu=interface.mtu,
            peer=(self.node_name(name), port_name),
            addresses=interface.addresses,
            index=index,
            reason=f"segment {name}",
        )

    def node_name(self, segment: str) -> str:
        """The node that holds the segment's bridge."""
        return f"segment-{segment}"

    def nodes(self) -> Iterator[Node]:
        """A node for each segment."""
        for name, ports in self.ports.items():
            bridge = Interface(
                name=fitting(name),
                kind="bridge",
                mac=mac(self.project, "segment", name),
                reason=f"segment {name}",
            )
            node = self.node_name(name)
            yield Node(name=node, kind="segment", namespace=node, hostname=node, interfaces=(bridge, *ports))


_FORWARDING = tuple(
    Sysctl(key, "1", "a router (forward)") for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding")
)


def _answers_everywhere(outside: Outside) -> Iterator[HostRule]:
    """What makes every address that no route leads elsewhere the node's own, in its families."""
    families = {Family.of(address) for one in outside.interfaces for address in one.addresses}
    for family in FAMILIES:
        if family in families:
            option = ("-6",) if family is Family.IPV6 else ()
            yield HostRule(
                ("ip", *option, "route", "add", "local", "default", "dev", "lo", "table", "main"),
                outside.position,
            )


def outside_node(scenario: Scenario, outside: Outside, name: str, segments: Segments) -> Node:
    """An outside node, with default routes through the first host on one of its segments."""
    return Node(
        name=name,
        kind="outside",
        namespace=name,
        hostname=name,
        interfaces=tuple(segments.plug(name, interface) for interface in outside.interfaces),
        routes=tuple(_routes(scenario, outside)),
        sysctls=_FORWARDING if outside.forward else (),
        commands=(*(_answers_everywhere(outside) if outside.everywhere else ()), *outside.rules),
        responders=tuple(
            Responder(
                port.protocol, port.port, port.program or name, outside.udp_routed and port.protocol == "udp"
            )
            for port in outside.listen
        ),
        everywhere=outside.everywhere,
    )


def _routes(scenario: Scenario, outside: Outside) -> Iterator[Route]:
    if outside.routes == "none":
        return
    if outside.routes != "host":
        for destination, via in outside.routes:
            yield Route(destination, via=via)
        return
    for family in FAMILIES:
        found = next(_gateways(scenario.hosts, outside, family), None) or next(
            _routers(scenario, outside, family), None
        )
        if found is not None:
            via, interface = found
            yield Route("default", via=via, interface=interface)


def _gateways(hosts: tuple[Host, ...], outside: Outside, family: Family) -> Iterator[tuple[str, str]]:
    for host in hosts:
        theirs = [(one.segment, one.addresses) for one in host.interfaces]
        for segment, addresses in [*theirs, *((bridge.name, bridge.addresses) for bridge in host.bridges)]:
            for ours in outside.interfaces:
                if ours.segment == segment and _has(ours, family):
                    for address in addresses:
                        if Family.of(address) is family:
                            yield bare(address), ours.name


def _routers(scenario: Scenario, outside: Outside, family: Family) -> Iterator[tuple[str, str]]:
    """Routers on a segment where no host is."""
    for router in scenario.outside:
        for theirs in router.interfaces if router.forward and router is not outside else ():
            for ours in outside.interfaces:
                if ours.segment == theirs.segment and _has(ours, family):
                    for address in theirs.addresses:
                        if Family.of(address) is family:
                            yield bare(address), ours.name


def _has(interface: OutsideInterface, family: Family) -> bool:
    return any(Family.of(address) is family for address in interface.addresses)
