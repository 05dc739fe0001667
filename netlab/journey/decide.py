"""Which one thing settled a flow: a rule, a policy, a socket that is not there, a route, or nothing."""

from __future__ import annotations

from collections.abc import Iterable

from netlab.journey.evidence import Sighting, Ways
from netlab.journey.facts import Facts, TracedNode
from netlab.journey.headers import endpoints
from netlab.journey.legs import hit_of
from netlab.journey.stations import Station
from netlab.model.flow import Flow
from netlab.model.journey import DecidedBy
from netlab.model.trace import BaseChain, Step, TraceKind, VerdictCode

#: NF_IP_PRI_FILTER: chains of type filter before it (raw, mangle) prepare, they do not decide
_FILTER_PRIORITY = 0
_PORT_UNREACHABLE = ((3, 3), (1, 4))


def decide(flow: Flow, sighting: Sighting, ways: Ways, facts: Facts) -> DecidedBy:
    """The decision, looked for where the packet ended first: a drop, then what the answer tells."""
    if sighting.outcome == "no-route":
        return DecidedBy("route", node=flow.origin, rule=sighting.route or sighting.errno)
    for station in (*ways.forth, *ways.proxied, *ways.back, *ways.returned, *ways.switched):
        if station.dropped and sighting.outcome not in ("ok", "closed"):
            return _by_step(station, station.steps[-1], facts)
    if sighting.outcome in ("refused", "closed"):
        return _socket(flow, ways, facts)
    if sighting.outcome == "unreachable":
        icmp = sighting.icmp
        if icmp is not None and (icmp.type, icmp.code) in _PORT_UNREACHABLE:
            return _socket(flow, ways, facts)
        node = facts.owner(icmp.sender, flow.origin) if icmp is not None else None
        return DecidedBy("route", node=node, rule=sighting.route)
    if sighting.outcome == "timeout" and sighting.route is not None:
        return DecidedBy("route", node=ways.forth[-1].node if ways.forth else None, rule=sighting.route)
    for station, step in _accepts(ways.forth, facts):
        return _by_step(station, step, facts)
    return DecidedBy("none")


def _by_step(station: Station, step: Step, facts: Facts) -> DecidedBy:
    node = facts.traced.get(station.node) or TracedNode(station.node)
    hit = hit_of(step, node, facts)
    policy = step.kind is TraceKind.POLICY
    return DecidedBy(
        "policy" if policy else "rule",
        family=step.family,
        hook=station.hook,
        table=step.table,
        chain=step.chain,
        rule=hit.rule,
        reason=hit.reason,
        verdict=step.verdict.word if policy else None,
    )


def _socket(flow: Flow, ways: Ways, facts: Facts) -> DecidedBy:
    """Nobody listens at the end of the way: the node there sent the RST or the port unreachable."""
    way = ways.proxied or ways.forth
    final = (way[-1].left or way[-1].key) if way else None
    if final is None:
        return DecidedBy("socket", node=facts.owner(flow.address, flow.origin))
    address = endpoints(final)[1][0]
    at_host = way[-1].hook == "input"
    node = way[-1].node if at_host else facts.owner(address, way[-1].node)
    return DecidedBy("socket", node=node)


def _accepts(way: Iterable[Station], facts: Facts) -> Iterable[tuple[Station, Step]]:
    """The accepts by which filter chains were left, the last one first."""
    found = []
    for station in way:
        node = facts.traced.get(station.node)
        if node is None:
            continue
        base: BaseChain | None = None
        for step in station.steps:
            base = node.base_chains.get((step.family, step.table, step.chain), base)
            if step.verdict is VerdictCode.ACCEPT and base is not None and _filters(base):
                found.append((station, step))
    return reversed(found)


def _filters(chain: BaseChain) -> bool:
    return chain.type == "filter" and chain.priority >= _FILTER_PRIORITY and not chain.own
