"""Expand a flow as written into the flows that it means: origins × families × ports."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from netlab.journey.resolve import Resolver
from netlab.model.errors import UsageError
from netlab.model.expectation import Expectation, Expected
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow, FlowPattern, Target
from netlab.model.limits import FLOWS
from netlab.model.plan import Node, Plan
from netlab.model.problem import Problem, ScenarioError

#: a port that a plan does not know is the first of these that is free there
UNKNOWN_PORTS = range(9, 65536)


def expand(
    pattern: FlowPattern,
    plan: Plan,
    families: Iterable[Family] | None = None,
    resolver: Resolver | None = None,
) -> list[Flow]:
    """The flows, in the order origins, families, ports.

    Without ``families``, those in which the target has an address. Raises UsageError for an unknown or
    ambiguous name, and if the target has no address of a requested family.
    """
    names = resolver or Resolver(plan)
    wanted = _families(pattern, families)
    via = names.node(pattern.via).name if pattern.via is not None else None
    flows: list[Flow] = []
    count = 0
    for origin in dict.fromkeys(node.name for glob in pattern.origins for node in names.origins(glob)):
        node = names.node(origin)
        for target in names.targets(pattern.target):
            found = False
            for family in wanted:
                address = names.address(node, target, family)
                if address is None:
                    continue
                found = True
                count += pattern.port_count
                _bounded(count, pattern)
                flows += [
                    Flow(
                        origin,
                        target,
                        family,
                        pattern.protocol,
                        port,
                        address,
                        via,
                        source=pattern.source,
                        source_port=pattern.source_port,
                        size=pattern.size,
                    )
                    for port in _ports(pattern, target, names, node, address)
                ]
            if not found:
                words = " or ".join(family.word for family in wanted)
                raise UsageError(f"{pattern.text or target}: {target} has no {words} address for {origin}")
    return flows


def _bounded(count: int, pattern: FlowPattern) -> None:
    """Raise UsageError for more flows than a lab takes, before they are made."""
    wrong = FLOWS.exceeded(count)
    if wrong:
        raise UsageError(f"{pattern.text or pattern.target}: {wrong}")


def _families(pattern: FlowPattern, families: Iterable[Family] | None) -> tuple[Family, ...]:
    wanted = tuple(families) if families is not None else FAMILIES
    if pattern.family is None:
        return wanted
    if pattern.family not in wanted:
        raise UsageError(f"{pattern.text}: {pattern.target} is an {pattern.family.word} address")
    return (pattern.family,)


def _ports(
    pattern: FlowPattern, target: Target, names: Resolver, origin: Node, address: str
) -> list[int | None]:
    if pattern.protocol == "icmp":
        return [None]
    if pattern.ports is not None:
        return [port for low, high in pattern.ports for port in range(low, high + 1)]
    node = _answering(target, names, origin, address)
    known = names.known_ports(node, pattern.protocol)
    taken = set(known)
    unknown = next((port for port in UNKNOWN_PORTS if port not in taken), None)
    return [*known, unknown] if unknown is not None else [*known]


def _answering(target: Target, names: Resolver, origin: Node, address: str) -> Node:
    """The node whose ports a ``*`` means."""
    if target.name == "localhost":
        return origin
    if target.name is not None and target.name != "gateway":
        return names.node(target.name)
    owner = names.owner(address)
    if owner is not None:
        return owner
    for network in names.plan.networks:
        if address in network.gateways:
            return names.node(f"host/{network.host}")
    raise UsageError(f"no node has {address}, so its ports are unknown")


@dataclass(frozen=True, slots=True)
class Claim:
    """One flow of an expectation, with the expected result."""

    expectation: Expectation
    flow: Flow
    expected: Expected


def claims(expectations: Iterable[Expectation], plan: Plan) -> list[Claim]:
    """Every flow that a scenario's expectations speak of; raises ScenarioError."""
    resolver = Resolver(plan)
    found = []
    for expectation in expectations:
        for family, expected in expectation.expected:
            try:
                flows = expand(expectation.pattern, plan, (family,), resolver)
            except UsageError as error:
                raise ScenarioError([Problem(expectation.position, str(error))]) from None
            found += [Claim(expectation, flow, expected) for flow in flows]
            wrong = FLOWS.exceeded(len(found))
            if wrong:
                raise ScenarioError([Problem(expectation.position, wrong)])
    return found
