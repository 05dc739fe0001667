"""Which ways into a plan are measured, where their load is received, and what each is called."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.lab.probe_options import gathered
from netlab.model.errors import NothingTested
from netlab.model.family import bare
from netlab.model.problem import Position, Problem, ScenarioError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Node, Plan

#: Where a port is received: (namespace, port) → (node, service).
Ports = dict[tuple[str, int], tuple[str, str]]
#: The ways of one lab that are measured at most.
MOST = 64


def usual_flows(plan: Plan) -> list[str]:
    """The ways to the lowest published TCP port: from outside, from the host, over the bridge, and back from
    the container itself. Raises NothingTested if the plan publishes none.
    """
    for one in sorted(plan.publications, key=lambda one: (one.host, one.host_port)):
        if one.protocol != "tcp":
            continue
        outside = [node.name for node in plan.nodes if node.kind == "outside"]
        host = f"{one.host}:{one.host_port}"
        return [
            *(f"{name} -> {host}" for name in outside[:1]),
            f"{one.host} -> {one.node}:{one.container_port}",
            f"{one.host} -> localhost:{one.host_port}",
            f"{one.node} -> {host}",
        ]
    raise NothingTested("no TCP port is published: name a FLOW, such as 'web -> db:5432'")


def flows_of(plan: Plan, texts: Sequence[str], family: int | None) -> list[Flow]:
    """The flows to load, as written or the usual ones.

    Raises ScenarioError for one that no ordinary TCP connection can make, or for too many.
    """
    found: list[Flow] = []
    problems: list[Problem] = []
    for number, text in enumerate(texts or usual_flows(plan), 1):
        of_text = gathered(plan, [(text, number)], family, {})
        position = Position("flow", number, 1)
        for flow in of_text:
            if flow.protocol != "tcp":
                problems.append(Problem(position, f"{flow}: only TCP can be loaded"))
            elif flow.via or flow.source or flow.source_port or flow.size:
                what = "a load is made of ordinary connections: no via, from, source port or size"
                problems.append(Problem(position, f"{flow}: {what}"))
        found += of_text
    if len(found) > MOST:
        problems.append(Problem(Position("flow", 1, 1), f"{len(found)} flows; at most {MOST} are measured"))
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return list(dict.fromkeys(found))


def receiving(plan: Plan, flows: Sequence[Flow]) -> tuple[Plan, Ports]:
    """The plan without the responders and programs where these flows may arrive, and those ports.

    A flow to a port may arrive at every node that answers on it, where a host publishes it, and at a program
    in the node that has the flow's address.
    """
    wanted = {flow.port for flow in flows}
    asked = {(flow.address, flow.port) for flow in flows if flow.port is not None}
    published = {
        (one.node, one.container_port)
        for one in plan.publications
        if one.protocol == "tcp" and one.host_port in wanted
    }
    ports: Ports = {}
    nodes = []
    for node in plan.nodes:
        mine = {number for name, number in published if name == node.name}
        mine |= {one.port for one in node.responders if one.protocol == "tcp" and one.port in wanted}
        if node.command:
            own = {bare(address) for one in node.interfaces for address in one.addresses}
            mine |= {port for address, port in asked if address in own}
        if not mine:
            nodes.append(node)
            continue
        for number in sorted(mine):
            ports.setdefault((node.namespace, number), (node.name, _service(node, number)))
        nodes.append(_without(node, mine))
    return replace(plan, nodes=tuple(nodes), expect=()), ports


def _service(node: Node, port: int) -> str:
    names = [one.service for one in node.responders if one.protocol == "tcp" and one.port == port]
    return names[0] if names else node.name


def _without(node: Node, ports: set[int]) -> Node:
    left = tuple(one for one in node.responders if one.protocol != "tcp" or one.port not in ports)
    return replace(node, responders=left, command=())


def replaced_programs(plan: Plan, ports: Ports) -> list[str]:
    """The nodes whose own program gives way to the receiver."""
    places = {name for name, _ in ports.values()}
    return [node.name for node in plan.nodes if node.command and node.name in places]


def name_of(journey: Journey) -> str:
    """What a way is called, by what its trace showed."""
    if journey.path == "proxy":
        return "userland proxy"
    translated = any(leg.nat.dnat for leg in journey.legs)
    if translated:
        snat = " and SNAT" if any(leg.nat.snat for leg in journey.legs) else ""
        hairpin = ", hairpin" if journey.answered_by == journey.flow.origin else ""
        return f"kernel DNAT{snat}{hairpin}"
    words = {
        "bridge": "bridge",
        "output": "host to bridge",
        "forward": "routed",
        "local": "the host's own socket",
        "inside": "within the node",
    }
    return words.get(journey.path, journey.path)
