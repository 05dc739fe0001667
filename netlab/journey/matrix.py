"""Who can reach what: which flows the table of a lab consists of.

Every origin × every way in (host address, localhost, gateway, container address) × every published and
unpublished port × family × protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from netlab.journey.resolve import Resolver
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow, FlowProtocol, Target
from netlab.model.plan import Node, Plan

WayIn = Literal["host address", "localhost", "gateway", "container address"]
_UNKNOWN_PORTS = range(9, 1024)


@dataclass(frozen=True, slots=True)
class Cell:
    """One flow: ``role`` is what the origin is to the service; ``published``, whether the port is."""

    flow: Flow
    role: str
    way: WayIn
    published: bool


def matrix(plan: Plan) -> list[Cell]:
    """The flows of a lab's matrix, by origin, then service, way in, family, port."""
    resolver = Resolver(plan)
    origins = [node for node in plan.nodes if node.kind != "segment"]
    services = [node for node in origins if node.kind == "container" and _ports_of(plan, node)]
    cells: dict[Flow, Cell] = {}
    for origin in origins:
        for service in services:
            for cell in _cells(resolver, origin, service):
                cells.setdefault(cell.flow, cell)
    return list(cells.values())


def _ports_of(plan: Plan, node: Node) -> dict[FlowProtocol, dict[int, int | None]]:
    """Protocol → container port → the host port that it is published at, or None."""
    ports: dict[FlowProtocol, dict[int, int | None]] = {}
    for responder in node.responders:
        ports.setdefault(responder.protocol, {}).setdefault(responder.port, None)
    for publication in plan.publications:
        if publication.node == node.name:
            ports.setdefault(publication.protocol, {})[publication.container_port] = publication.host_port
    for known in ports.values():
        known.setdefault(next(port for port in _UNKNOWN_PORTS if port not in known), None)
    return ports


def _cells(resolver: Resolver, origin: Node, service: Node) -> Iterator[Cell]:
    role = role_of(resolver.plan, origin, service)
    host = resolver.node(f"host/{service.host}") if service.host else None
    for way in ("host address", "localhost", "gateway", "container address"):
        for target in _targets(resolver.plan, way, origin, service, host):
            for family in FAMILIES:
                address = _address(resolver, origin, target, family)
                if address is None:
                    continue
                for protocol, ports in _ports_of(resolver.plan, service).items():
                    for inner, outer in ports.items():
                        port = inner if way == "container address" or outer is None else outer
                        flow = Flow(origin.name, target, family, protocol, port, address)
                        yield Cell(flow, role, way, outer is not None)


def _targets(plan: Plan, way: WayIn, origin: Node, service: Node, host: Node | None) -> list[Target]:
    networks = [
        network
        for network in plan.networks
        if any(member == service.name for member, _, _ in network.members)
    ]
    if way == "container address":
        if not networks:
            return []
        return [Target(name=service.name, network=network.key) for network in networks]
    if host is None:
        return []
    if way == "host address":
        return [Target(name=host.name)]
    if way == "localhost":
        return [Target(name="localhost")] if origin.namespace == host.name else []
    return [Target(name="gateway", network=network.key) for network in networks]


def _address(resolver: Resolver, origin: Node, target: Target, family: Family) -> str | None:
    try:
        return resolver.address(origin, target, family)
    except UsageError:
        return None


def role_of(plan: Plan, origin: Node, service: Node) -> str:
    """What the origin is to the service: self, sibling, other network, host, other host, LAN, remote."""
    if origin.name == service.name:
        return "self"
    if origin.kind == "host":
        return "host" if origin.name == service.host else "other host"
    if origin.kind == "outside":
        return _outside_role(plan, origin)
    mine = {n.name for n in plan.networks if any(m == origin.name for m, _, _ in n.members)}
    its = {n.name for n in plan.networks if any(m == service.name for m, _, _ in n.members)}
    return "sibling" if mine & its else "other network"


def _outside_role(plan: Plan, origin: Node) -> str:
    """A neighbour has an address of a segment that a host is on too; anybody else is remote."""
    segments = {interface.peer[0] for interface in origin.interfaces if interface.peer}
    for node in plan.nodes:
        if node.kind == "host" and any(
            interface.peer and interface.peer[0] in segments for interface in node.interfaces
        ):
            return "LAN"
    return "remote"
