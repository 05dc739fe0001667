"""A plan as the kernel sees it: namespaces, links between them, and the index of each link.

Pure. Every index is fixed here, so that addresses and routes can be sent without reading anything back,
and a lab is numbered the same each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from netlab.kernel import sysctl
from netlab.model.errors import LabError
from netlab.model.family import bare
from netlab.model.identifiers import link_local
from netlab.model.plan import Interface, Node, Plan, RealFirewall, Route
from netlab.model.rules import Ruleset

#: With more interfaces than this in namespaces of their own, neighbours are written down for good: the
#: machine's neighbour tables (gc_thresh3, stock 1024 a family) are shared by all its namespaces.
MANY = 128


@dataclass(slots=True)
class Space:
    """One network namespace that will be made, with everything in it."""

    name: str
    kind: str = "container"
    interfaces: list[Interface] = field(default_factory=list)
    indexes: dict[str, int] = field(default_factory=lambda: {"lo": 1})
    routes: list[Route] = field(default_factory=list)
    sysctls: list[tuple[str, str]] = field(default_factory=list)
    rulesets: list[Ruleset] = field(default_factory=list)
    #: the firewall tool that runs itself here, and puts in all the rules
    firewall: RealFirewall | None = None
    #: settings that an existing namespace already has
    written: frozenset[tuple[str, str]] = frozenset()
    #: whether a program of the scenario will run here, which needs its own user namespace
    programs: bool = False

    def settings(self, *, of_interfaces: bool) -> list[tuple[str, str]]:
        """The sysctls still to be written: those that name an interface, or the others."""
        return [
            item
            for item in self.sysctls
            if item not in self.written and (sysctl.interface_of(item[0]) is not None) == of_interfaces
        ]

    def speaks_ipv6(self, interface: str | None = None) -> bool:
        """Whether the settings leave IPv6 on for an interface (None: for any).

        If it is off, Linux has no IPv6 addresses and routes, whatever was configured.
        """
        if interface is None:
            return any(map(self.speaks_ipv6, self.indexes))
        disabled = "0"
        for key, value in self.sysctls:
            if key in ("net.ipv6.conf.all.disable_ipv6", "net.ipv6.conf.default.disable_ipv6"):
                disabled = value
        key = f"net.ipv6.conf.{interface.replace('.', '/')}.disable_ipv6"
        return dict(self.sysctls).get(key, disabled) == "0"

    @property
    def bridges(self) -> list[Interface]:
        """The bridges, in order."""
        return [interface for interface in self.interfaces if interface.kind == "bridge"]

    @property
    def before_bridges(self) -> frozenset[str]:
        """The interfaces before the first bridge in the plan; empty without a bridge."""
        names: list[str] = []
        for interface in self.interfaces:
            if interface.kind == "bridge":
                return frozenset(names)
            names.append(interface.name)
        return frozenset()


@dataclass(frozen=True, slots=True)
class VethPair:
    """A veth pair. The near end, a bridge port if one of them is, is made first and up."""

    near: Space
    near_end: Interface
    far: Space
    far_end: Interface

    @property
    def older(self) -> bool:
        """Whether an end of it must exist before the bridges of its namespace."""
        ends = ((self.near, self.near_end), (self.far, self.far_end))
        return any(end.name in space.before_bridges for space, end in ends)


@dataclass(frozen=True)
class Layout:
    """Namespaces in the order of the plan, and the links between (or within) them."""

    spaces: dict[str, Space]
    pairs: list[VethPair]

    def ipv6_addresses(self, space: Space) -> Iterator[tuple[str, int]]:
        """(address, ifindex) of what must be usable before the first packet.

        Where packets are forwarded, that includes the link-local addresses of links with others' ones.
        """
        for interface in space.interfaces:
            wanted = [bare(address) for address in interface.addresses if ":" in address]
            if not wanted or not interface.up or not space.speaks_ipv6(interface.name):
                continue
            index = space.indexes[interface.name]
            if interface.mac and len(space.interfaces) > 1 and self._carries(space, interface):
                wanted.append(link_local(interface.mac))
            for address in wanted:
                yield address, index

    def _carries(self, space: Space, interface: Interface) -> bool:
        """Whether a link will be up: a bridge is when one of its ports is."""
        if interface.kind == "bridge":
            return (space.name, interface.name) in self._lively
        return (space.name, interface.name) not in self._cut

    @cached_property
    def _lively(self) -> set[tuple[str, str]]:
        """The bridges with a port whose both ends are up."""
        return {
            (space.name, end.master)
            for pair in self.pairs
            if pair.near_end.up and pair.far_end.up
            for space, end in ((pair.near, pair.near_end), (pair.far, pair.far_end))
            if end.master
        }

    @cached_property
    def _cut(self) -> set[tuple[str, str]]:
        """The ends of pairs of which one end is down."""
        return {
            (space.name, end.name)
            for pair in self.pairs
            if not (pair.near_end.up and pair.far_end.up)
            for space, end in ((pair.near, pair.near_end), (pair.far, pair.far_end))
        }

    def neighbours(self) -> Iterator[tuple[Space, int, str, str]]:
        """(namespace, ifindex, address, MAC): a bridge's knowledge of its ports' peers, and theirs of it.

        Empty for a small lab, in which the kernel finds neighbours itself.
        """
        if len(self.pairs) <= MANY:
            return
        for pair in self.pairs:
            master = next((i for i in pair.near.bridges if i.name == pair.near_end.master), None)
            if master is None or master.mac is None or pair.far_end.mac is None or not master.addresses:
                continue
            index = pair.near.indexes[master.name]
            for address in pair.far_end.addresses:
                yield pair.near, index, bare(address), pair.far_end.mac
            here = {":" in address for address in pair.far_end.addresses}
            for address in master.addresses:
                if (":" in address) in here:
                    yield pair.far, pair.far.indexes[pair.far_end.name], bare(address), master.mac


def layout(plan: Plan) -> Layout:
    """Lay out a plan; raises LabError for one that cannot be built (a peer that is not there)."""
    return arrange(plan.nodes)


def arrange(nodes: Iterable[Node]) -> Layout:
    """The :func:`layout` of some nodes, including every namespace and peer that they name."""
    nodes = tuple(nodes)
    spaces = {node.name: Space(node.name, node.kind) for node in nodes if node.namespace == node.name}
    ends: dict[tuple[str, str], tuple[Space, Interface]] = {}
    for node in nodes:
        space = spaces.get(node.namespace)
        if space is None:
            raise LabError(f"{node.name} is in the namespace of {node.namespace}, which does not exist")
        space.interfaces += node.interfaces
        space.routes += node.routes
        space.sysctls += ((sysctl.key, sysctl.value) for sysctl in node.sysctls)
        if node.firewall is None:
            space.rulesets += node.rulesets
        else:
            space.firewall = node.firewall
        space.programs |= bool(node.command) and space.kind == "container"
        for interface in node.interfaces:
            ends[node.name, interface.name] = space, interface
    for space in spaces.values():
        _number(space)
    return Layout(spaces, list(_pairs(ends)))


def _number(space: Space) -> None:
    """Give every interface an index: the plan's, and numbers above the highest for the rest, in order."""
    asked = [interface.index for interface in space.interfaces if interface.index is not None]
    following = max(asked, default=1) + 1
    for interface in space.interfaces:
        if interface.name in space.indexes:
            raise LabError(f"{space.name} has two interfaces named {interface.name}")
        if interface.index is not None:
            space.indexes[interface.name] = interface.index
        else:
            space.indexes[interface.name] = following
            following += 1
    for interface in space.interfaces:
        if interface.master is not None and interface.master not in space.indexes:
            raise LabError(
                f"{interface.name} of {space.name} is a port of {interface.master}, which is not there"
            )


def _pairs(ends: dict[tuple[str, str], tuple[Space, Interface]]) -> Iterator[VethPair]:
    done: set[tuple[str, str]] = set()
    for key, (space, interface) in ends.items():
        if interface.kind != "veth" or key in done:
            continue
        if interface.peer is None or interface.peer not in ends:
            raise LabError(f"{interface.name} of {key[0]} has no peer: {interface.peer}")
        done.add(interface.peer)
        other, peer = ends[interface.peer]
        if peer.peer != key:
            raise LabError(f"{interface.name} of {key[0]} and its peer do not name each other")
        if interface.master is None and peer.master is not None:
            yield VethPair(other, peer, space, interface)
        else:
            yield VethPair(space, interface, other, peer)
