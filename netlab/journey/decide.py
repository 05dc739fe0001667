"""Which one thing settled a flow: a rule, a policy, a socket that is not there, a route, or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netlab.journey.doubt import ran_out, refusing
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


def decide(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology) -> DecidedBy:
    """The decision: first a drop, then what the answer proves."""
    if result.outcome == "no-route":
        return DecidedBy("route", node=flow.origin, rule=result.route or result.errno)
    if result.lost:
        return DecidedBy("unmeasured", node=result.lost_in, rule=result.lost)
    stop = stopped(paths)
    if stop is not None and result.outcome != "ok":
        return replace(
            _by_step(stop, stop.steps[-1], facts),
            verdict=stop.steps[-1].verdict.word,
            node=stop.node,
            packet=packet_at(stop),
            direction="reply" if _is_answer(stop, result, paths) else "original",
        )
    if result.outcome == "closed" and refusing(result.route):
        return DecidedBy("route", node=result.lost_in, rule=result.route)
    if result.outcome in ("refused", "closed"):
        return replace(_socket(flow, paths, facts), rule=result.silence or None)
    if result.outcome == "unreachable":
        icmp = result.icmp
        if icmp is not None and (icmp.type, icmp.code) in _PORT_UNREACHABLE and flow.protocol == "udp":
            return _socket(flow, paths, facts)
        node = facts.owner(icmp.sender, flow.origin) if icmp is not None else None
        if icmp is not None and ran_out(icmp):
            return DecidedBy("none", node=node, rule="the packet's hop limit ran out")
        return DecidedBy("route", node=node, rule=result.route)
    if result.outcome == "timeout" and result.route is not None:
        last = paths.forth[-1].node if paths.forth else None
        return DecidedBy(
            "route",
            node=result.lost_in or last,
            rule=result.route,
            direction="reply" if result.answer_turned_away else None,
        )
    if result.outcome == "timeout" and result.silence:
        return DecidedBy("none", node=result.lost_in, rule=result.silence)
    accepted = _accept((hook_pass for hook_pass in paths.forth if hook_pass.node in facts.hosts), facts)
    return _by_step(*accepted, facts) if accepted is not None else DecidedBy("none")


def _is_answer(hook_pass: HookPass, result: ProbeResult, paths: PacketPaths) -> bool:
    """Whether a packet went from the target back to the origin."""
    if any(hook_pass is one for one in (*paths.back, *paths.returned, *paths.errors)):
        return True
    if hook_pass.key is None or any(hook_pass is one for one in (*paths.forth, *paths.proxied)):
        return False
    forth = {result.key} | {key for one in (*paths.forth, *paths.proxied) for key in (one.key, one.left)}
    return hook_pass.key not in forth and reverse(hook_pass.key) in forth


def _by_step(hook_pass: HookPass, step: Step, facts: Topology) -> DecidedBy:
    node = facts.traced.get(hook_pass.node) or TracedNode(hook_pass.node)
    hit = hit_of(step, node, facts)
    policy = step.kind is TraceKind.POLICY
    return DecidedBy(
        "policy" if policy else "rule",
        family=step.family,
        hook=hook_pass.hook,
        table=step.table,
        chain=step.chain,
        rule=hit.rule,
        reason=hit.reason,
        verdict=step.verdict.word if policy else None,
    )


def _socket(flow: Flow, paths: PacketPaths, facts: Topology) -> DecidedBy:
    """Nothing listens at the end of the path: the node there sent the RST or the port unreachable."""
    passes = paths.proxied or paths.forth
    final = (passes[-1].left or passes[-1].key) if passes else None
    if final is None:
        return DecidedBy("socket", node=facts.owner(flow.address, flow.origin))
    address = endpoints(final)[1][0]
    at_host = passes[-1].hook == "input"
    node = passes[-1].node if at_host else facts.owner(address, passes[-1].node)
    return DecidedBy("socket", node=node)


def _accept(passes: Iterable[HookPass], facts: Topology) -> tuple[HookPass, Step] | None:
    """What let a packet through: the last rule of a filter chain that accepted it, or else the last policy.

    An accept ends only one base chain; later chains still see the packet. A chain with only a policy (the
    security table's, another program's) decided nothing if a rule did.
    """
    by_rule: tuple[HookPass, Step] | None = None
    by_policy: tuple[HookPass, Step] | None = None
    for hook_pass in passes:
        node = facts.traced.get(hook_pass.node)
        if node is None:
            continue
        rule, policy = _accepts_at(tuple(hook_pass.steps), node)
        if rule is not None:
            by_rule = hook_pass, rule
        if policy is not None:
            by_policy = hook_pass, policy
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
