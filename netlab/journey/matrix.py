"""Who can reach what: which flows the table of a lab consists of.

Every origin × every way in (host address, localhost, gateway, container address) × every published and
unpublished port × family × protocol; and an ICMP echo to each address. Then every container's and host's way
out: to the node ``internet`` if there is one, or else to the first node outside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from netlab.journey.expand import UNKNOWN_PORTS
from netlab.journey.resolve import Resolver
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow, FlowProtocol, Target
from netlab.model.limits import MATRIX
from netlab.model.plan import Node, Plan, Unpublished
from netlab.model.text import text_of

if TYPE_CHECKING:
    from netlab.model.journey import Journey


WayIn = Literal["host address", "localhost", "gateway", "container address", "outside"]


#: Replicas of one service that are measured; what these two see of each other holds for the others.
_MEASURED_REPLICAS = 2
_REPLICA = re.compile(r"(.+)-\d+")
#: Words that mean all nodes of a kind, in the place of a node's name.
KINDS = {"outside": "outside", "hosts": "host", "containers": "container"}


#: what makes two variants' cells the same question
Question = tuple[str, str, "Family"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One flow. ``role`` is the relation of the origin to the node ``service``; ``published``: the port
    is.

    On the way out, ``service`` is the node outside.
    """

    flow: Flow
    role: str
    way: WayIn
    published: bool
    service: str

    @property
    def publication(self) -> str:
        """``published`` or ``unpublished``; empty if there is no port, or nothing to publish."""
        if self.flow.port is None or self.way == "outside":
            return ""
        return "published" if self.published else "unpublished"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which flows of a matrix to measure; by default all.

    ``origins`` and ``targets`` are node names, globs or words of :data:`KINDS`; a target also matches as
    written in a flow (``host:80/tcp``). ``published``: only published ports. ``every_replica`` False measures
    two replicas of each service instead of all.
    """

    origins: Sequence[str] = ()
    targets: Sequence[str] = ()
    published: bool = False
    every_replica: bool = True


@dataclass(frozen=True, slots=True)
class Replicas:
    """The containers of one scaled service that differ in nothing but names and addresses."""

    name: str
    members: tuple[str, ...]
    measured: tuple[str, ...]


def matrix(plan: Plan, selection: Selection | None = None) -> list[Cell]:
    """The flows of a lab's matrix, by origin, then service, way in, family, port; then those that lead out.

    Raises UsageError for a pattern of ``selection`` that matches nothing.
    """
    selection = selection or Selection()
    resolver = Resolver(plan)
    left_out = set()
    if not selection.every_replica:
        left_out = {name for group in replicas(plan) for name in group.members if name not in group.measured}
    asking = [node for node in plan.nodes if node.kind != "segment" and not node.everywhere]
    origins = [node for node in asking if node.name not in left_out]
    services = [node for node in origins if node.kind == "container" and _ports_of(plan, node)]
    cells: dict[Flow, Cell] = {}
    for cell in _all_cells(resolver, origins, services):
        cells.setdefault(cell.flow, cell)
        wrong = MATRIX.exceeded(len(cells))
        if wrong:
            raise UsageError(f"the matrix stops at {wrong}")
    kinds = {node.name: node.kind for node in plan.nodes if node.kind != "segment"}
    return _selected(list(cells.values()), selection, kinds)


def _all_cells(resolver: Resolver, origins: Sequence[Node], services: Sequence[Node]) -> Iterator[Cell]:
    for origin in origins:
        for service in services:
            yield from _cells(resolver, origin, service)
    there = _way_out(resolver.plan)
    for origin in origins:
        if there is not None and origin.kind != "outside":
            yield from _cells_out(resolver, origin, there)


def _way_out(plan: Plan) -> Node | None:
    """The node that the flows out of the host lead to."""
    outside = [node for node in plan.nodes if node.kind == "outside"]
    return next((node for node in outside if node.everywhere), outside[0] if outside else None)


def _cells_out(resolver: Resolver, origin: Node, there: Node) -> Iterator[Cell]:
    """To the first port of each protocol that the node answers on, and an echo."""
    first: dict[FlowProtocol, int | None] = {}
    for responder in there.responders:
        first.setdefault(responder.protocol, responder.port)
    target = Target(name=there.name)
    for family in FAMILIES:
        address = _address(resolver, origin, target, family)
        if address is not None:
            for protocol, port in {**first, "icmp": None}.items():
                flow = Flow(origin.name, target, family, protocol, port, address)
                yield Cell(flow, "outbound", "outside", False, there.name)


def _selected(cells: list[Cell], selection: Selection, kinds: Mapping[str, str]) -> list[Cell]:
    for pattern in selection.origins:
        if not any(_named(pattern, name, kind) for name, kind in kinds.items()):
            raise UsageError(f"no node is named {pattern!r}; {_choices(kinds)}")
    for pattern in selection.targets:
        if not any(_leads_to(pattern, cell, kinds) for cell in cells):
            raise UsageError(f"no target of the matrix is named {pattern!r}; {_choices(kinds)}")
    return [
        cell
        for cell in cells
        if (cell.published or not selection.published)
        and _any(_named(p, cell.flow.origin, kinds[cell.flow.origin]) for p in selection.origins)
        and _any(_leads_to(p, cell, kinds) for p in selection.targets)
    ]


def _any(matches: Iterator[bool]) -> bool:
    """Whether some pattern matches, or there is none."""
    found = list(matches)
    return not found or any(found)


def _named(pattern: str, name: str, kind: str) -> bool:
    return KINDS.get(pattern) == kind or fnmatchcase(name, pattern)


def _leads_to(pattern: str, cell: Cell, kinds: Mapping[str, str]) -> bool:
    """Whether a pattern means the service of a target, or the target as written."""
    return _named(pattern, cell.service, kinds[cell.service]) or names_target(pattern, cell.flow)


def names_target(pattern: str, flow: Flow) -> bool:
    """Whether ``pattern`` means the flow's target: ``host``, ``host:80``, ``host:80/tcp``, ``web@*:*``."""
    place = flow.to.partition("/")[0]
    return any(fnmatchcase(text, pattern) for text in (flow.to, place, str(flow.target)))


def not_allowed(allowed: Sequence[str], columns: Iterable[Column]) -> list[str]:
    """The flows that get through to a port that no pattern in ``allowed`` names; none without patterns.

    A port of a network's gateway is also one of the host, whose address that is.
    """
    if not allowed:
        return []
    return [
        f"{cell.flow} {cell.flow.family.word}" + (f" with {column.label}" if column.label else "")
        for column in columns
        for cell, journey in column.answers.values()
        if journey.outcome == "ok"
        and cell.flow.port is not None
        and cell.way != "outside"
        and not any(names_target(pattern, flow) for pattern in allowed for flow in _spellings(cell, column))
    ]


def _spellings(cell: Cell, column: Column) -> Iterator[Flow]:
    """A flow as written, and one to a gateway as one to the host."""
    yield cell.flow
    if cell.way == "gateway":
        for other, _ in column.answers.values():
            if other.way == "host address" and other.service == cell.service:
                yield replace(cell.flow, target=other.flow.target)
                return


def _choices(kinds: Mapping[str, str]) -> str:
    shown = ", ".join(list(kinds)[:12]) + (", …" if len(kinds) > 12 else "")
    return f"there are {shown}; or write {', '.join(KINDS)}"


def replicas(plan: Plan) -> list[Replicas]:
    """Groups of more than two containers that are alike: same service, host, networks and ports."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for node in plan.nodes:
        stem = _REPLICA.fullmatch(node.name)
        if node.kind != "container" or stem is None or node.namespace != node.name:
            continue
        networks = tuple(
            network.name for network in plan.networks if any(m == node.name for m, _, _ in network.members)
        )
        ports = frozenset(
            (protocol, port, outer is not None)
            for protocol, known in _ports_of(plan, node).items()
            for port, outer in known.items()
        )
        groups.setdefault((stem[1], node.host, networks, ports), []).append(node.name)
    return [
        Replicas(str(key[0]), tuple(names), tuple(names[:_MEASURED_REPLICAS]))
        for key, names in groups.items()
        if len(names) > _MEASURED_REPLICAS
    ]


def _ports_of(plan: Plan, node: Node) -> dict[FlowProtocol, dict[int, int | None]]:
    """Protocol → container port → the host port that it is published at, or None."""
    ports: dict[FlowProtocol, dict[int, int | None]] = {}
    for responder in node.responders:
        ports.setdefault(responder.protocol, {}).setdefault(responder.port, None)
    for publication in plan.publications:
        if publication.node == node.name:
            ports.setdefault(publication.protocol, {})[publication.container_port] = publication.host_port
    for known in ports.values():
        unknown = next((port for port in UNKNOWN_PORTS if port not in known), None)
        if unknown is not None:
            known[unknown] = None
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
                        yield Cell(flow, role, way, outer is not None, service.name)
                if way != "localhost":
                    flow = Flow(origin.name, target, family, "icmp", None, address)
                    yield Cell(flow, role, way, False, service.name)


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
    """The relation of the origin to the service: self, sibling, other network, host, other host, LAN,
    remote.
    """
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
    """A neighbour has an address on a segment of a host; any other node is remote."""
    segments = {interface.peer[0] for interface in origin.interfaces if interface.peer}
    for node in plan.nodes:
        if node.kind == "host" and any(
            interface.peer and interface.peer[0] in segments for interface in node.interfaces
        ):
            return "LAN"
    return "remote"


@dataclass(frozen=True, slots=True)
class Column:
    """The matrix of one lab, or of one variant of a scenario.

    >>> cell, journey = lab.matrix().answers["client", "host:80/tcp", Family.IPV6]
    >>> cell.way, journey.path
    ('host address', 'proxy')

    The keys of ``answers`` are origin, target as written, and family. ``refusal`` says why the variant does
    not apply to this scenario, if it does not. ``replicas`` are the services of which two containers were
    measured instead of all.
    ``silent`` and ``unpublished`` are the plan's: what the matrix has no flows to, or none through the host.
    """

    label: str
    answers: dict[Question, tuple[Cell, Journey]]
    refusal: str | None = None
    replicas: tuple[Replicas, ...] = ()
    silent: tuple[str, ...] = ()
    unpublished: tuple[Unpublished, ...] = ()

    def __str__(self) -> str:
        """What ``netlab matrix`` prints, where :mod:`netlab` itself is imported."""
        return text_of(self) or repr(self)


def question(cell: Cell) -> Question:
    """Origin, target as written, family."""
    return cell.flow.origin, cell.flow.to, cell.flow.family


def questions(columns: Sequence[Column]) -> list[Question]:
    """All questions that some column answers, in the order of the first that has them."""
    return list(dict.fromkeys(asked for column in columns for asked in column.answers))


def differs(columns: Sequence[Column], asked: Question) -> bool:
    """Whether the variants that apply give different answers, in what a caller notices."""
    found = {answer_key(c.answers.get(asked)) for c in columns if c.refusal is None}
    return len(found) > 1


def alike(columns: Sequence[Column]) -> list[Column]:
    """Columns with the same answers as one, named after all of them."""
    groups: dict[tuple[object, ...], list[Column]] = {}
    asked = questions(columns)
    for column in columns:
        answers = tuple(answer_key(column.answers.get(one)) for one in asked)
        groups.setdefault((column.refusal, answers), []).append(column)
    return [replace(group[0], label=_together([one.label for one in group])) for group in groups.values()]


def _together(labels: Sequence[str]) -> str:
    """``choice 1``, ``choice 3`` → ``choice 1, 3``; labels that differ otherwise are written out."""
    stems = {label.rpartition(" ")[0] for label in labels}
    if len(stems) > 1:
        return ", ".join(labels)
    first, *others = labels
    return ", ".join([first, *(label.rpartition(" ")[2] for label in others)])


def answer_key(answer: tuple[Cell, Journey] | None) -> tuple[str, ...] | None:
    """Outcome, path, and the source that the server saw."""
    if answer is None:
        return None
    journey = answer[1]
    return journey.outcome, journey.path, journey.sees.address if journey.sees else ""
