"""What a drawing of a plan shows: machines, the buses that join them, and the links between both.

A *bus* is what switches frames: a bridge of a host, or a segment outside. Every veth pair of a plan has one
end in a bus, so a machine's interfaces and the bus that each leads to are the whole topology.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from netlab.view.lab import front_of, held_by, summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.model.plan import Interface, NetworkFacts, Node, Plan

#: How the plan names the node of a segment.
_SEGMENT = "segment-"


@dataclass(frozen=True, slots=True)
class Bus:
    """A bridge of the host ``host``, or (``host`` is empty) a segment outside, called ``name``.

    ``network`` is the key of the container network, empty for other bridges.
    """

    host: str
    name: str
    addresses: tuple[str, ...] = ()
    network: str = ""
    internal: bool = False

    @property
    def words(self) -> str:
        """What it is: ``segment``, ``bridge, network nw``, ``bridge, network back, internal``."""
        if not self.host:
            return "segment"
        network = [f"network {self.network}"] if self.network else []
        return ", ".join(["bridge", *network, *(["internal"] if self.internal else [])])


@dataclass(frozen=True, slots=True)
class EdgeEnd:
    """An interface of a machine, and where its link leads: the veth ``port`` of a bus.

    ``bus`` is (host, name) of the bus; ``addresses`` with prefix length.
    """

    interface: str
    addresses: tuple[str, ...]
    bus: tuple[str, str]
    port: str


@dataclass(frozen=True, slots=True)
class Machine:
    """A host, a container, or a machine outside; ``guests`` are the containers that share its namespace.

    ``host`` is the host on which it is: of containers, and of machines outside that only a host's bridge
    connects (another tenant's virtual machine); otherwise empty.
    """

    name: str
    kind: Literal["host", "container", "outside"]
    ends: tuple[EdgeEnd, ...]
    host: str = ""
    engine: str = ""
    guests: tuple[str, ...] = ()
    #: of a rootless container: its interface, its addresses, and by which program
    own: tuple[str, ...] = ()

    @property
    def network(self) -> str:
        """What stands in place of its links."""
        return "  ".join(self.own) if self.own else "without a network"


@dataclass(frozen=True, slots=True)
class Port:
    """A published port: what is published, what it leads to, and who listens."""

    host: str
    front: str
    back: str
    holder: str


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that a drawing shows, in the order in which it is drawn."""

    title: str
    machines: tuple[Machine, ...]
    buses: tuple[Bus, ...]
    ports: tuple[Port, ...]

    @property
    def outside(self) -> tuple[Machine, ...]:
        """The machines that no host contains, hosts excluded."""
        return tuple(one for one in self.machines if one.kind == "outside" and not one.host)

    @property
    def hosts(self) -> tuple[Machine, ...]:
        """The hosts."""
        return tuple(one for one in self.machines if one.kind == "host")

    @property
    def segments(self) -> tuple[Bus, ...]:
        """The buses outside of the hosts."""
        return self.buses_of("")

    def buses_of(self, host: str) -> tuple[Bus, ...]:
        """The bridges of a host; of none, the segments."""
        return tuple(bus for bus in self.buses if bus.host == host)

    def inside(self, host: str) -> tuple[Machine, ...]:
        """The machines on a host."""
        return tuple(one for one in self.machines if one.host == host)

    def ports_of(self, host: str) -> tuple[Port, ...]:
        """The published ports of a host."""
        return tuple(port for port in self.ports if port.host == host)

    def links(self, bus: Bus) -> Iterator[tuple[Machine, EdgeEnd]]:
        """The interfaces that lead to a bus."""
        for machine in self.machines:
            for end in machine.ends:
                if end.bus == (bus.host, bus.name):
                    yield machine, end


def topology(plan: Plan) -> Topology:
    """The topology of a plan."""
    nodes = [node for node in plan.nodes if node.kind != "segment" and node.namespace == node.name]
    ports = [
        Port(entry.host, front_of(entry), f"{entry.node}:{entry.container_port}", held_by(plan, entry))
        for entry in plan.publications
    ]
    return Topology(
        f"{plan.name}: {summary(plan)}",
        tuple(_machine(node, plan) for node in nodes),
        tuple(_buses(plan)),
        tuple(ports),
    )


def _buses(plan: Plan) -> Iterator[Bus]:
    networks = {(network.host, network.bridge): network for network in plan.networks}
    for node in plan.nodes:
        for interface in node.interfaces:
            if interface.kind == "bridge":
                yield _bus(node, interface, networks.get((node.name, interface.name)))


def _bus(node: Node, interface: Interface, network: NetworkFacts | None) -> Bus:
    host, name = _bus_name(node, interface.name)
    if network is None:
        return Bus(host, name, interface.addresses)
    return Bus(host, name, interface.addresses, network.key, network.internal)


def _bus_name(node: Node, bridge: str) -> tuple[str, str]:
    """The host and the name of a node's bridge; a segment is a node that has a single one."""
    return ("", node.name.removeprefix(_SEGMENT)) if node.kind == "segment" else (node.name, bridge)


def _machine(node: Node, plan: Plan) -> Machine:
    ends = tuple(_ends(node, plan))
    host = node.host if node.kind == "container" else ""
    if node.kind == "outside" and ends and ends[0].bus[0] and len({end.bus[0] for end in ends}) == 1:
        host = ends[0].bus[0]
    guests = tuple(one.name for one in plan.nodes if one.namespace == node.name and one.name != node.name)
    assert node.kind != "segment"
    own = tuple(_own(node, plan))
    if node.kind == "host":  # the namespace of a rootless engine has its link in its heading
        return Machine(node.name, node.kind, ends, host, "  ".join((node.engine, *own)), guests)
    return Machine(node.name, node.kind, ends, host, "", guests, own)


def _own(node: Node, plan: Plan) -> Iterator[str]:
    """What a rootless container, or engine, has in place of a link to its host."""
    for network in (one for host in plan.nodes for one in host.user_networks if one.node == node.name):
        interface = next(one for one in node.interfaces if one.name == network.interface)
        yield from (interface.name, *interface.addresses, f"by {network.program}")


def _ends(node: Node, plan: Plan) -> Iterator[EdgeEnd]:
    """The interfaces of a machine that lead to a bus; those that are ports of its own bridges do not."""
    for interface in node.interfaces:
        if interface.peer is None or interface.master is not None:
            continue
        name, port = interface.peer
        peer = plan.node(name)
        master = next(one.master for one in peer.interfaces if one.name == port)
        if master is not None:
            yield EdgeEnd(interface.name, interface.addresses, _bus_name(peer, master), port)
