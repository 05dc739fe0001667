"""A lab as a text picture, and as a JSON document: nodes, networks and published ports."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from netlab.model.family import bare, bracketed, endpoint
from netlab.view.plain import BOLD, DIM, RESET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.model.plan import Listener, NetworkFacts, Node, Plan, Publication, Unpublished
    from netlab.view.documents.lab import LabDocument, LabNetworkDocument, LabNodeDocument


class _Ink:
    """Emphasis, or none."""

    def __init__(self, *, colour: bool) -> None:
        self.colour = colour

    def bold(self, text: str) -> str:
        return f"{BOLD}{text}{RESET}" if self.colour else text

    def dim(self, text: str) -> str:
        return f"{DIM}{text}{RESET}" if self.colour and text else text


def picture(plan: Plan, *, colour: bool = False, most: int = 24) -> Iterator[str]:
    """The lines of the picture; of longer lists only the first ``most`` are shown."""
    ink = _Ink(colour=colour)
    yield f"{ink.bold(plan.name)}: {summary(plan)}"
    yield ""
    outside = [node for node in plan.nodes if node.kind == "outside"]
    width = max((len(node.name) for node in outside), default=0)
    there = max((len(_addresses(node)) for node in outside), default=0)
    for node in outside:
        where = f"on {_segments(node, plan)}" + (", for every other address" if node.everywhere else "")
        yield f"  {node.name:<{width}}  {_addresses(node):<{there}}  {ink.dim(where)}"
    for host in (node for node in plan.nodes if node.kind == "host"):
        yield ""
        yield from _host(plan, host, ink, most)
    if plan.publications:
        yield ""
        yield from _published(plan, ink, most)
    if plan.unpublished or plan.silent:
        yield ""
        yield from (f"  {line}" for line in remarks(plan.silent, plan.unpublished, most))
    if plan.choices > 1:
        yield ""
        yield f"  {chance(plan)}"


def chance(plan: Plan) -> str:
    """How what the engines leave to chance came out: ``left to chance: way 1 of 2``."""
    return f"left to chance: way {plan.choice} of {plan.choices} (--choice N takes another)"


def remarks(silent: Sequence[str], unpublished: Sequence[Unpublished], most: int = 24) -> Iterator[str]:
    """What a person may miss: unpublished ports, services without a known port, and what to write."""
    for entry in unpublished[:most]:
        yield f"not published: {entry.node} {entry.port}/{entry.protocol}, {entry.reason}"
    if len(unpublished) > most:
        yield f"… and {len(unpublished) - most} more"
    if silent:
        names = ", ".join(silent[:most]) + (f" and {len(silent) - most} more" if len(silent) > most else "")
        yield from wrap(f"no known port: {names}", 76, subsequent_indent="  ")
        yield f"  (give it a port: x-netlab: {{services: {{{silent[0]}: {{listen: [PORT]}}}}}})"


def summary(plan: Plan) -> str:
    """One line of figures: ``docker-20.10, 1 container on 2 networks, 2 ports published``."""
    engines = ", ".join(plan.engines)
    containers = sum(node.kind == "container" for node in plan.nodes)
    parts = [
        engines,
        f"{_count(containers, 'container')} on {_count(len(plan.networks), 'network')}",
        f"{_count(len(plan.publications), 'port')} published",
    ]
    return ", ".join(part for part in parts if part)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _addresses(node: Node) -> str:
    return "  ".join(bare(address) for interface in node.interfaces for address in interface.addresses)


def _segments(node: Node, plan: Plan) -> str:
    """The external segments, and the hosts' bridges, that a node's links lead to."""
    found = []
    for interface in node.interfaces:
        if interface.peer is not None:
            peer, port = interface.peer
            masters = (end.master for end in plan.node(peer).interfaces if end.name == port)
            bridge = next((f" ({name})" for name in masters if name and not peer.startswith("segment-")), "")
            found.append(peer.removeprefix("segment-") + bridge)
    return ", ".join(found) or "nothing"


def _host(plan: Plan, host: Node, ink: _Ink, most: int) -> Iterator[str]:
    uplinks = [i for i in host.interfaces if i.kind == "veth" and i.master is None]
    ways = "  ".join(f"{i.name} {' '.join(map(bare, i.addresses))}" for i in uplinks)
    yield f"  {ink.bold(host.name)}  {ways}  {ink.dim(host.engine)}"
    networks = [network for network in plan.networks if network.host == host.name]
    guests = [
        n for n in plan.nodes if n.kind == "container" and n.host == host.name and n.namespace == host.name
    ]
    drawn: set[str] = set()
    branches = [list(_network(network, plan, ink, most, drawn)) for network in networks]
    branches += [[f"{guest.name}  {ink.dim('in the network of ' + host.name)}"] for guest in guests[:most]]
    for own in host.user_networks[:most]:
        way = f"{own.node}  {'  '.join(own.addresses)}  {ink.dim(f'{own.interface} by {own.program}')}"
        branches.append([way, *_sharers(own.node, plan, ink, drawn)])
    for node in _loners(plan, host)[:most]:
        branches.append(
            [f"{node.name}  {ink.dim('without a network')}", *_sharers(node.name, plan, ink, drawn)]
        )
    for number, (first, *others) in enumerate(branches):
        last = number == len(branches) - 1
        yield f"  {'└─ ' if last else '├─ '}{first}"
        for line in others:
            yield f"  {'   ' if last else '│  '}{line}"


def _loners(plan: Plan, host: Node) -> list[Node]:
    """Containers of a host that are on no network (network_mode: none)."""
    return [
        node
        for node in plan.nodes
        if (node.kind, node.host, node.namespace) == ("container", host.name, node.name)
        and not node.interfaces
    ]


def _network(network: NetworkFacts, plan: Plan, ink: _Ink, most: int, drawn: set[str]) -> Iterator[str]:
    """A network and its members, each with those that share its namespace, unless ``drawn`` has it."""
    gateways = "  ".join(network.gateways)
    kind = ", internal" if network.internal else ""
    name = f"network {network.key}" if network.key != network.bridge else "network"
    yield f"{network.bridge}  {gateways}  {ink.dim(f'{name}{kind}')}"
    members = network.members[:most]
    width = max((len(member[0]) for member in members), default=0)
    for number, (node, interface, addresses) in enumerate(members):
        last = number == len(network.members) - 1
        where = "  ".join(map(bare, addresses))
        yield f"{'└─' if last else '├─'} {node:<{width}}  {where}  {ink.dim(interface)}"
        for line in _sharers(node, plan, ink, drawn):
            yield f"{'  ' if last else '│ '} {line}"
    if len(network.members) > most:
        yield f"└─ … and {len(network.members) - most} more"


def _sharers(owner: str, plan: Plan, ink: _Ink, drawn: set[str]) -> Iterator[str]:
    """The containers in a container's network namespace, unless they are ``drawn`` already."""
    found = [one.name for one in plan.nodes if one.namespace == owner and one.name not in (owner, *drawn)]
    drawn.update(found)
    for name in found:
        yield f"{'└─' if name == found[-1] else '├─'} {name}  {ink.dim(f'in the network of {owner}')}"


def _published(plan: Plan, ink: _Ink, most: int) -> Iterator[str]:
    yield f"  {ink.bold('published')}"
    several = sum(node.kind == "host" for node in plan.nodes) > 1
    rows = [
        (
            (f"{entry.host} " if several else "") + front_of(entry),
            f"{entry.node}:{entry.container_port}",
            held_by(plan, entry),
        )
        for entry in plan.publications[:most]
    ]
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    for front, back, holder in rows:
        yield f"  {front:<{widths[0]}} → {back:<{widths[1]}}  {ink.dim(holder)}".rstrip()
    if len(plan.publications) > most:
        yield f"  … and {len(plan.publications) - most} more"


def front_of(entry: Publication) -> str:
    """A published port as the host has it: ``*:80/tcp``, ``127.0.0.1:8080/tcp``."""
    where = endpoint(entry.host_address, entry.host_port) if entry.host_address else f"*:{entry.host_port}"
    return f"{where}/{entry.protocol}"


def held_by(plan: Plan, entry: Publication) -> str:
    """The listeners of a published port: ``docker-proxy on 0.0.0.0 and [::]``, or that there are none."""
    found: dict[str, list[str]] = {}
    for listener in plan.node(entry.host).listeners:
        if serves(listener, entry):
            found.setdefault(listener.process, []).append(bracketed(listener.address))
    if not found:
        return "by rules alone: nothing listens"
    return ", ".join(f"{process} on {' and '.join(where)}" for process, where in found.items())


def serves(listener: Listener, entry: Publication) -> bool:
    """Whether a listener of the host serves a published port."""
    if (listener.port, listener.protocol) != (entry.host_port, entry.protocol):
        return False
    return not entry.host_address or listener.address == entry.host_address


def document(plan: Plan) -> LabDocument:
    """What :func:`picture` shows, as JSON values."""
    return {
        "name": plan.name,
        "project": plan.project,
        "nodes": [_node(node) for node in plan.nodes if node.kind != "segment"],
        "networks": [_facts(network) for network in plan.networks],
        "published": [
            {
                "host": entry.host,
                "address": entry.host_address or None,
                "port": entry.host_port,
                "protocol": entry.protocol,
                "node": entry.node,
                "container_port": entry.container_port,
                "network": entry.network,
                "listeners": [
                    {"process": found.process, "address": found.address}
                    for found in plan.node(entry.host).listeners
                    if serves(found, entry)
                ],
            }
            for entry in plan.publications
        ],
        "unpublished": [
            {"node": entry.node, "port": entry.port, "protocol": entry.protocol, "reason": entry.reason}
            for entry in plan.unpublished
        ],
        "silent": list(plan.silent),
    }


def _node(node: Node) -> LabNodeDocument:
    listens: Sequence[Any] = [] if node.command else node.responders
    return {
        "name": node.name,
        "kind": node.kind,
        "namespace": node.namespace,
        "engine": node.engine or None,
        "host": node.host or None,
        "container": node.container or None,
        "interfaces": [
            {"name": i.name, "kind": i.kind, "mac": i.mac, "addresses": list(i.addresses)}
            for i in node.interfaces
        ],
        "answers": [{"protocol": r.protocol, "port": r.port, "service": r.service} for r in listens],
        "command": list(node.command) or None,
    }


def _facts(network: NetworkFacts) -> LabNetworkDocument:
    return {
        "name": network.name,
        "key": network.key,
        "host": network.host,
        "bridge": network.bridge,
        "subnets": list(network.subnets),
        "gateways": list(network.gateways),
        "internal": network.internal,
        "members": [
            {"node": node, "interface": interface, "addresses": list(addresses)}
            for node, interface, addresses in network.members
        ],
    }
