"""Which one thing settled a flow: a rule, a policy, a socket that is not there, a route, or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netlab.journey.evidence import PacketPaths, ProbeResult, stopped
from netlab.journey.headers import endpoints, reverse
from netlab.journey.hook_passes import HookPass
from netlab.journey.legs import hit_of, packet_at
from netlab.journey.topology import Topology, TracedNode
from netlab.model.flow import Flow
from netlab.model.journey import DecidedBy
from netlab.model.trace import BaseChain, Step, TraceKind, VerdictCode

#: NF_IP_PRI_FILTER: chains of type filter before it (raw, mangle) prepare, they do not let anything in
_FILTER_PRIORITY = 0
_PORT_UNREACHABLE = ((3, 3), (1, 4))


def decide(flow: Flow, sighting: ProbeResult, ways: PacketPaths, facts: Topology) -> DecidedBy:
    """The decision: first a drop, then what the answer proves."""
    if sighting.outcome == "no-route":
        return DecidedBy("route", node=flow.origin, rule=sighting.route or sighting.errno)
    if sighting.lost:
        return DecidedBy("unmeasured", node=sighting.lost_in, rule=sighting.lost)
    stop = stopped(ways)
    if stop is not None and sighting.outcome != "ok":
        return replace(
            _by_step(stop, stop.steps[-1], facts),
            verdict=stop.steps[-1].verdict.word,
            node=stop.node,
            packet=packet_at(stop),
            direction="reply" if _is_answer(stop, sighting, ways) else "original",
        )
    if sighting.outcome in ("refused", "closed"):
        return _socket(flow, ways, facts)
    if sighting.outcome == "unreachable":
        icmp = sighting.icmp
        if icmp is not None and (icmp.type, icmp.code) in _PORT_UNREACHABLE:
            return _socket(flow, ways, facts)
        node = facts.owner(icmp.sender, flow.origin) if icmp is not None else None
        return DecidedBy("route", node=node, rule=sighting.route)
    if sighting.outcome == "timeout" and sighting.route is not None:
        last = ways.forth[-1].node if ways.forth else None
        return DecidedBy(
            "route",
            node=sighting.lost_in or last,
            rule=sighting.route,
            direction="reply" if sighting.answer_turned_away else None,
        )
    if sighting.outcome == "timeout" and sighting.silence:
        return DecidedBy("none", node=sighting.lost_in, rule=sighting.silence)
    accepted = _accept((station for station in ways.forth if station.node in facts.hosts), facts)
    return _by_step(*accepted, facts) if accepted is not None else DecidedBy("none")


def _is_answer(station: HookPass, sighting: ProbeResult, ways: PacketPaths) -> bool:
    """Whether a packet went from the target back to the origin."""
    if any(station is one for one in (*ways.back, *ways.returned)):
        return True
    if station.key is None or any(station is one for one in (*ways.forth, *ways.proxied)):
        return False
    forth = {sighting.key} | {key for one in (*ways.forth, *ways.proxied) for key in (one.key, one.left)}
    return station.key not in forth and reverse(station.key) in forth


def _by_step(station: HookPass, step: Step, facts: Topology) -> DecidedBy:
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


def _socket(flow: Flow, ways: PacketPaths, facts: Topology) -> DecidedBy:
    """Nothing listens at the end of the path: the node there sent the RST or the port unreachable."""
    way = ways.proxied or ways.forth
    final = (way[-1].left or way[-1].key) if way else None
    if final is None:
        return DecidedBy("socket", node=facts.owner(flow.address, flow.origin))
    address = endpoints(final)[1][0]
    at_host = way[-1].hook == "input"
    node = way[-1].node if at_host else facts.owner(address, way[-1].node)
    return DecidedBy("socket", node=node)


def _accept(way: Iterable[HookPass], facts: Topology) -> tuple[HookPass, Step] | None:
    """What let a packet through: the last rule of a filter chain that accepted it, or else the last policy.

    An accept ends only one base chain; later chains still see the packet. A chain with only a policy (the
    security table's, another program's) decided nothing if a rule did.
    """
    by_rule: tuple[HookPass, Step] | None = None
    by_policy: tuple[HookPass, Step] | None = None
    for station in way:
        node = facts.traced.get(station.node)
        if node is None:
            continue
        rule, policy = _accepts_at(tuple(station.steps), node)
        if rule is not None:
            by_rule = station, rule
        if policy is not None:
            by_policy = station, policy
    return by_rule or by_policy


def _accepts_at(steps: tuple[Step, ...], node: TracedNode) -> tuple[Step | None, Step | None]:
    """The last accept of a rule, and the last of a policy, by which filter chains of one hook were left."""
    found = node.accepts.get(steps)
    if found is None:
        base: BaseChain | None = None
        rule = policy = None
        for step in steps:
            base = node.base_chains.get((step.family, step.table, step.chain), base)
            if step.verdict is VerdictCode.ACCEPT and base is not None and _filters(base):
                if step.kind is TraceKind.POLICY:
                    policy = step
                else:
                    rule = step
        found = node.accepts[steps] = rule, policy
    return found


def _filters(chain: BaseChain) -> bool:
    return chain.type == "filter" and chain.priority >= _FILTER_PRIORITY and not chain.own
