"""Resolve the names in flows to addresses, with a plan.

A name means the node's address on a segment that it shares with the origin, or else on the network of its
default route. A host's name means an address of its external interfaces; its address on a container network
is that network's ``gateway``.
"""

from __future__ import annotations

import fnmatch
import ipaddress
from collections.abc import Iterator
from functools import lru_cache

from netlab.model.errors import NoNodeError, UsageError
from netlab.model.family import Family, bare
from netlab.model.flow import Target
from netlab.model.near import nearest
from netlab.model.plan import Interface, NetworkFacts, Node, Plan

_KINDS = {"service": "container", "host": "host", "outside": "outside"}
_ORDER = ("container", "host", "outside")


class Resolver:
    """Questions about names to one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._nodes = {node.name: node for node in plan.nodes}
        self._engine_bridges = {(network.host, network.bridge) for network in plan.networks}

    # -- nodes

    def node(self, name: str) -> Node:
        """The node that a name means: a service, then a host, then an outside node. Raises NoNodeError."""
        kind, plain = _split(name)
        found = [node for node in self.plan.nodes if node.kind != "segment" and _means(node, kind, plain)]
        if not found:
            raise NoNodeError(f"there is no node {name!r}{self._hint(plain)}")
        return min(found, key=lambda node: _ORDER.index(node.kind))

    def origins(self, pattern: str) -> list[Node]:
        """The nodes that a name or a glob means, in the plan's order. Raises NoNodeError if there is none."""
        kind, plain = _split(pattern)
        if not any(sign in plain for sign in "*?["):
            return [self.node(pattern)] if not self._replicas(plain) else self._replicas(plain)
        found = [
            node
            for node in self.plan.nodes
            if node.kind != "segment" and kind in ("", node.kind) and fnmatch.fnmatchcase(node.name, plain)
        ]
        if not found:
            raise NoNodeError(f"no node's name matches {pattern!r}")
        return found

    def _replicas(self, name: str) -> list[Node]:
        """The containers of a service with several replicas, by the service's name."""
        if name in self._nodes:
            return []
        return [
            node
            for node in self.plan.nodes
            if node.kind == "container"
            and node.name.startswith(f"{name}-")
            and node.name[len(name) + 1 :].isdigit()
        ]

    def targets(self, target: Target) -> list[Target]:
        """A target, or one for each replica if the name is that of a service with several."""
        if target.name is None or target.name in ("localhost", "gateway"):
            return [target]
        _, plain = _split(target.name)
        replicas = self._replicas(plain)
        return [Target(name=node.name, network=target.network) for node in replicas] or [target]

    def _hint(self, name: str) -> str:
        near = nearest(name, self._nodes)
        if near:
            return f" (did you mean {near}?)"
        names = ", ".join(node.name for node in self.plan.nodes[:12] if node.kind != "segment")
        return f"; there are: {names}" if names else ""

    # -- addresses

    def address(self, origin: Node, target: Target, family: Family) -> str | None:
        """The address that ``target`` means for ``origin``; None if there is none in this family.

        Raises UsageError if the name is unknown or ambiguous.
        """
        if target.address is not None:
            return target.address if Family.of(target.address) is family else None
        if target.name == "localhost":
            return family.loopback
        if target.name == "gateway":
            return self._gateway(origin, target.network, family)
        assert target.name is not None
        node = self._home(self.node(target.name))
        if target.network is not None:
            return self._on_network(node, target.network, family)
        shared = self._shared(self._home(origin), node)
        own = [address for address in self._addresses(node) if Family.of(address) is family]
        for address in own:
            if any(_inside(address, network) for network in shared):
                return bare(address)
        return self._default(node, own, family)

    def _home(self, node: Node) -> Node:
        """The node whose namespace a guest shares."""
        return self._nodes.get(node.namespace, node)

    def _default(self, node: Node, own: list[str], family: Family) -> str | None:
        """The node's address on the network of its default route, or else its first one."""
        for route in node.routes:
            if route.destination == "default" and route.via and Family.of(route.via) is family:
                for address in own:
                    if _inside(bare(route.via), _network(address)):
                        return bare(address)
        return bare(own[0]) if own else None

    def _shared(self, origin: Node, node: Node) -> list[str]:
        """The prefixes of the segments and networks that two nodes are both on."""
        if origin.kind == "host" or node.kind == "host":
            segments = self._segments(origin) & self._segments(node)
            return [_network(a) for a in self._addresses(node, segments)] if segments else []
        mine = {network.name for network in self._networks_of(origin)}
        prefixes = [p for n in self._networks_of(node) if n.name in mine for p in n.subnets]
        segments = self._segments(origin) & self._segments(node)
        return prefixes + [_network(address) for address in self._addresses(node, segments)]

    def _addresses(self, node: Node, segments: set[str] | None = None) -> list[str]:
        """A node's addresses with prefix length; a host's without those on its engine's bridges."""
        if node.kind not in ("host", "outside"):
            return (
                [a for interface in node.interfaces for a in interface.addresses] if segments is None else []
            )
        return [
            address
            for interface in node.interfaces
            for address in interface.addresses
            if (segment := self._segment(node, interface)) and (segments is None or segment in segments)
        ]

    def _segments(self, node: Node) -> set[str]:
        """The segments that a node is on: external ones, and other tenants' bridges of hosts."""
        if node.kind not in ("host", "outside"):
            return set()
        found = (self._segment(node, interface) for interface in node.interfaces if interface.addresses)
        return {segment for segment in found if segment}

    def _segment(self, node: Node, interface: Interface) -> str:
        """What an interface is plugged into, as people call it; empty for the engine's own."""
        if interface.kind == "bridge":
            return "" if (node.name, interface.name) in self._engine_bridges else interface.name
        peer = self._nodes.get(interface.peer[0]) if interface.peer else None
        if peer is None:
            return ""
        if peer.kind == "segment":
            return peer.name.removeprefix("segment-")
        ports = (port for port in peer.interfaces if interface.peer and port.name == interface.peer[1])
        return next((port.master for port in ports if port.master), "")

    def _networks_of(self, node: Node) -> Iterator[NetworkFacts]:
        for network in self.plan.networks:
            if any(member == node.name for member, _, _ in network.members):
                yield network

    def network(self, name: str) -> NetworkFacts:
        """A container network by its Compose key or docker name. Raises UsageError."""
        found = [n for n in self.plan.networks if n.name == name] or [
            n for n in self.plan.networks if n.key == name
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"there are {len(found)} networks {name!r}, one a host: write the docker name")
        names = ", ".join(network.key for network in self.plan.networks)
        raise UsageError(f"there is no network {name!r}; there are: {names or 'none'}")

    def _on_network(self, node: Node, name: str, family: Family) -> str | None:
        if name in self._segments(node):
            own = self._addresses(node, {name})
        else:
            network = self.network(name)
            if node.kind == "host":
                own = list(network.gateways)
            else:
                own = [a for member, _, some in network.members if member == node.name for a in some]
            if not own:
                raise UsageError(f"{node.name} is not on the network {name}")
        return next((bare(address) for address in own if Family.of(address) is family), None)

    def _gateway(self, origin: Node, name: str | None, family: Family) -> str | None:
        if name is not None:
            found = self.network(name).gateways
        else:
            home = self._home(origin)
            networks = list(self._networks_of(home)) or list(self.plan.networks)
            if home.kind == "container":
                route = self._default_gateway(home, family)
                if route is not None:
                    return route
            elif len(networks) > 1:
                keys = ", ".join(network.key for network in networks)
                raise UsageError(
                    f"for {origin.name}, gateway may be that of several networks: write gateway@NETWORK"
                    f" with one of {keys}"
                )
            found = networks[0].gateways if networks else ()
        return next((bare(address) for address in found if Family.of(address) is family), None)

    def _default_gateway(self, node: Node, family: Family) -> str | None:
        for route in node.routes:
            if route.destination == "default" and route.via and Family.of(route.via) is family:
                return route.via
        return None

    # -- ports

    def known_ports(self, node: Node, protocol: str) -> list[int]:
        """The ports of a node that the plan knows: published, listened on, answered, exposed."""
        home = self._home(node)
        ports = {responder.port for responder in home.responders if responder.protocol == protocol}
        ports |= {responder.port for responder in node.responders if responder.protocol == protocol}
        ports |= {listener.port for listener in home.listeners if listener.protocol == protocol}
        for publication in self.plan.publications:
            if publication.protocol != protocol:
                continue
            if publication.host == home.name:
                ports.add(publication.host_port)
            if publication.node == node.name:
                ports.add(publication.container_port)
        return sorted(ports)

    def owner(self, address: str) -> Node | None:
        """The node that has an address, by the plan."""
        for node in self.plan.nodes:
            if node.kind != "segment" and any(bare(a) == address for a in self._addresses(node)):
                return node
        return None


def _means(node: Node, kind: str, plain: str) -> bool:
    """Whether a name means the node; ``outside/client`` may be ``outside-client`` (plan.naming)."""
    if kind == "":
        return node.name == plain
    return node.kind == kind and node.name in (plain, f"{kind}-{plain}")


def _split(name: str) -> tuple[str, str]:
    kind, slash, plain = name.partition("/")
    if slash and kind in _KINDS:
        return _KINDS[kind], plain
    return "", name


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    return str(ipaddress.ip_interface(address).network)


@lru_cache(maxsize=4096)
def _inside(address: str, network: str) -> bool:
    one, whole = ipaddress.ip_address(bare(address)), ipaddress.ip_network(network, strict=False)
    return one.version == whole.version and one in whole
