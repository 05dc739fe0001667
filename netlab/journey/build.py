"""Evidence → journey: the trace and what the probe itself saw, read against the facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.journey.decide import decide
from netlab.journey.evidence import PacketPaths, ProbeResult
from netlab.journey.headers import endpoints
from netlab.journey.hook_passes import HookPass
from netlab.journey.legs import hit_of, leg_of, split_by_node, visit_of
from netlab.journey.topology import Topology
from netlab.model.family import endpoint, unmapped
from netlab.model.flow import Flow
from netlab.model.journey import DecidedBy, Journey, JourneyFlow, Leg, Sees
from netlab.model.outcome import OutcomeName, PathName

#: The name of a proxy that no plan knows: in a namespace that is traced without one, it may be anyone's.
PROXY = "docker-proxy"


def journey_of(
    flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology, *, replies: bool = False
) -> Journey:
    """Build the journey. ``replies`` adds the legs of the answers even if the outcome is not ``timeout``."""
    proxied = _proxied(flow, result, paths, facts)
    outcome, proxy = result.outcome, _proxy(flow, paths.forth, facts) or PROXY
    legs = [leg_of(run, None, facts) for run in shown(paths.forth, facts)]
    for run in shown(paths.proxied, facts):
        legs.append(leg_of(run, proxy, facts))
        proxy = _proxy(flow, run, facts) or proxy  # one that leads to the next
    proxy = _proxy(flow, paths.forth, facts) or PROXY
    back: list[Leg] = []
    if replies or outcome == "timeout":
        back = [leg_of(run, None, facts) for run in shown(paths.back, facts)]
        back += [leg_of(run, proxy, facts) for run in shown(paths.returned, facts)]
    answered_by, sees = _answer(flow, result, paths, facts)
    path = path_of(flow, outcome, paths, facts, proxied=proxied)
    return Journey(
        flow=question(flow, result.source),
        outcome=outcome,
        path=path,
        answered_by=answered_by,
        sees=sees,
        decided_by=decide(flow, result, paths, facts) if outcome != "unmeasured" else DecidedBy("none"),
        legs=tuple(legs),
        replies=tuple(back),
        switched=tuple(
            visit_of(hook_pass, facts.traced[hook_pass.node], facts) for hook_pass in paths.switched
        ),
        probe=result.probe,
        icmp=result.icmp,
        errno=result.errno,
        problem=result.problem,
        notes=tuple(result.notes),
    )


def shown(passes: Sequence[HookPass], facts: Topology) -> list[list[HookPass]]:
    """The runs that become legs: in hosts and rootless containers, and where a rule ended or rewrote it."""
    measured = facts.hosts | facts.programs.keys()
    led_into = facts.led_into
    return [
        run
        for run in split_by_node(passes)
        if run[0].node in measured
        or (run[0].node in led_into and run[0].hook == "output")
        or run[-1].dropped
        or run[-1].left != run[0].key
    ]


def question(flow: Flow, source: tuple[str, int] | None) -> JourneyFlow:
    """The flow as the journey repeats it."""
    src = None
    if source is not None:
        src = source[0] if flow.protocol == "icmp" else endpoint(*source)
    dst = flow.address if flow.port is None else endpoint(flow.address, flow.port)
    return JourneyFlow(flow.origin, flow.to, flow.family.word, src, dst, flow.via)


def path_of(
    flow: Flow, outcome: OutcomeName, paths: PacketPaths, facts: Topology, *, proxied: bool
) -> PathName:
    """How far the first packet got in the hosts' IP hooks, by the design's words."""
    runs = [run for run in split_by_node(paths.forth) if run[0].node in facts.hosts]
    if not runs:
        if outcome in ("no-route", "unmeasured"):
            return "none"
        if proxied:
            return "proxy"
        if facts.owns(flow.origin, flow.address) and flow.via is None:
            return "inside"
        return "bridge" if paths.switched else "none"
    run = runs[-1]
    hooks = [hook_pass.hook for hook_pass in run]
    if hooks[-1] == "input":
        return "proxy" if proxied else "local"
    if "forward" in hooks:
        return "forward" if _to_host(run[0], facts) else "bridge"
    return "output" if hooks[-1] in ("output", "postrouting") else "none"


def _to_host(first: HookPass, facts: Topology) -> bool:
    """Whether the frame was addressed to the host's own MAC; without a link header, assume yes."""
    link = first.entry.link
    node = facts.traced.get(first.node)
    return len(link) < 6 or node is None or not node.macs or link[:6] in node.macs


def _proxied(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology) -> bool:
    if paths.proxied:
        return paths.proxied[0].node in facts.hosts or bool(_proxy(flow, paths.forth, facts))
    end = paths.forth[-1] if paths.forth else None
    if end is None or end.hook != "input" or end.dropped or result.outcome in ("refused", "unreachable"):
        return False
    if any("tproxy" in line.lower() for line in _rules_met(paths.forth, end.node, facts)):
        return False  # the packet was handed to another socket, whatever its destination is
    return bool(_proxy(flow, paths.forth, facts))


def _proxy(flow: Flow, passes: Sequence[HookPass], facts: Topology) -> str:
    """The engine's process that took the packet at the end of its path; empty if it is none that is known."""
    end = passes[-1] if passes else None
    key = (end.left or end.key) if end is not None else None
    if end is None or key is None or flow.protocol == "icmp":
        return ""
    if end.node in facts.programs and end.hook == "postrouting":
        return facts.programs[end.node]
    _, (address, port) = endpoints(key)
    return facts.proxy(end.node, flow.protocol, address, port)


def _rules_met(passes: Sequence[HookPass], node: str, facts: Topology) -> Iterator[str]:
    """The text of every rule that a packet met in a node."""
    traced = facts.traced.get(node)
    if traced is None:
        return
    for hook_pass in passes:
        for step in hook_pass.steps if hook_pass.node == node else ():
            hit = hit_of(step, traced, facts)
            if hit.rule is not None:
                yield hit.rule


def _answer(
    flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology
) -> tuple[str | None, Sees | None]:
    """Who answered, and which source address it saw (the latter only if data came back)."""
    if result.outcome != "ok":
        return None, None
    last = paths.proxied or paths.forth
    final = (last[-1].left or last[-1].key) if last else result.key
    ends = endpoints(final) if final is not None else None
    reply = result.reply
    where = facts.namespace(flow.origin) if not last else last[-1].node
    if reply is not None:
        node, address = reply.node, unmapped(reply.peer)
        if ends is not None and ends[0][0] != address:
            result.notes.append(
                f"the server saw {address}, the last header that the trace shows has {ends[0][0]}"
            )
    elif ends is not None:
        owner = facts.owner(ends[1][0], where)
        node, address = owner or ends[1][0], ends[0][0]
    else:
        return None, None
    seen = facts.owner(address, node if address.startswith("127.") else where)
    if seen == facts.namespace(flow.origin):  # who shares a namespace has its addresses, too
        seen = flow.origin
    return node, Sees(address, seen)


def unmeasured(flow: Flow, problem: str) -> Journey:
    """The instrument failed: never a pass, never a fail."""
    return Journey(question(flow, None), "unmeasured", "none", problem=problem)
