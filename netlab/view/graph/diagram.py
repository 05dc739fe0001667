"""A topology as the nodes, groups and edges that Mermaid and Graphviz lay out themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.view.graph.topology import Bus, Machine, Port, Topology

Shape = Literal["machine", "interface", "bus", "port"]


@dataclass(frozen=True, slots=True)
class Node:
    """A shape with its lines of text; ``key`` is made of letters and digits."""

    key: str
    shape: Shape
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """A host: the nodes inside it."""

    key: str
    title: str
    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """A link, or (``leads``) the way from a published port to its container."""

    start: str
    end: str
    label: str
    leads: bool = False


@dataclass(frozen=True, slots=True)
class Diagram:
    """All of it; ``nodes`` are those that are in no group."""

    title: str
    nodes: tuple[Node, ...]
    groups: tuple[Group, ...]
    edges: tuple[Edge, ...]


def diagram(topology: Topology) -> Diagram:
    """The nodes, groups and edges of a topology, numbered in its order."""
    return _Build(topology).diagram()


class _Build:
    """Numbers everything, so that no name of a scenario is ever a key."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._machines = {machine.name: f"m{number}" for number, machine in enumerate(topology.machines)}
        self._buses = {(bus.host, bus.name): f"b{number}" for number, bus in enumerate(topology.buses)}
        self._ports = {port: f"p{number}" for number, port in enumerate(topology.ports)}

    def diagram(self) -> Diagram:
        found = self._topology
        nodes = [*map(self._machine, found.outside), *map(self._bus, found.segments)]
        groups = [self._group(host) for host in found.hosts]
        return Diagram(found.title, tuple(nodes), tuple(groups), tuple(self._edges()))

    def _machine(self, machine: Machine) -> Node:
        shared = tuple(f"+ {guest}" for guest in machine.guests)
        return Node(self._machines[machine.name], "machine", (machine.name, *shared, *machine.own))

    def _bus(self, bus: Bus) -> Node:
        return Node(self._buses[bus.host, bus.name], "bus", (bus.name, bus.words, *bus.addresses))

    def _group(self, host: Machine) -> Group:
        key = self._machines[host.name]
        nodes = [
            Node(f"{key}e{number}", "interface", (end.interface, *end.addresses))
            for number, end in enumerate(host.ends)
        ]
        nodes += [
            Node(self._ports[port], "port", (port.front, port.holder))
            for port in self._topology.ports_of(host.name)
        ]
        nodes += map(self._bus, self._topology.buses_of(host.name))
        nodes += map(self._machine, self._topology.inside(host.name))
        words = (host.name, *(f"+ {guest}" for guest in host.guests), host.engine)
        return Group(key, " ".join(filter(None, words)), tuple(nodes))

    def _edges(self) -> Iterator[Edge]:
        for machine in self._topology.machines:
            key = self._machines[machine.name]
            for number, end in enumerate(machine.ends):
                if machine.kind == "host":
                    yield Edge(f"{key}e{number}", self._buses[end.bus], end.port)
                else:
                    label = " ".join((end.interface, *end.addresses, "-", end.port))
                    yield Edge(key, self._buses[end.bus], label)
        for port in self._topology.ports:
            yield from self._way(port)

    def _way(self, port: Port) -> Iterator[Edge]:
        """From a published port to its container, or to the one in whose namespace this is."""
        name, _, number = port.back.rpartition(":")
        for machine in self._topology.machines:
            if name in (machine.name, *machine.guests):
                end = self._machines[machine.name] + ("e0" if machine.kind == "host" else "")
                yield Edge(self._ports[port], end, number, leads=True)
