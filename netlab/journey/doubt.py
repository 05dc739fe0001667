"""Whether the evidence for a flow is sufficient, or something invisible to the trace decided.

A conclusion from a missing event would be a guess. So each outcome needs its own proof: for an answer, the
headers of the packet that it answers; for a refusal, a rule or the absence of a socket; for silence, a drop
or a route. Without it, the flow is measured again with the wide instrument.
"""

from __future__ import annotations

from netlab.journey.evidence import PacketPaths, ProbeResult, stopped
from netlab.journey.headers import endpoints
from netlab.journey.hook_passes import HookPass
from netlab.journey.topology import Topology, TracedNode
from netlab.model.family import unmapped
from netlab.model.flow import Flow
from netlab.model.reply import Reply
from netlab.model.trace import Step

#: the priority of netlab's last chains: later chains appear as another visit of the hook
_LAST = (1 << 31) - 2
_LAST_HOOKS = ("input", "postrouting")
_IP_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}
_WILDCARDS = ("0.0.0.0", "::")


def doubt(flow: Flow, sighting: ProbeResult, ways: PacketPaths, facts: Topology) -> str:
    """What is not proven, in words; empty if everything is."""
    if sighting.outcome == "unmeasured":
        return ""
    if sighting.probe is not None:  # packets made by hand may be anything: their trace is all there is
        return "" if ways.forth or sighting.outcome != "timeout" else _unseen(flow, facts)
    question = {
        "ok": _ok,
        "refused": _refused,
        "closed": _closed,
        "unreachable": _unreachable,
        "timeout": _timeout,
    }
    ask = question.get(sighting.outcome)
    return (ask(flow, sighting, ways, facts) if ask is not None else "") or hidden(ways, facts)


def hidden(ways: PacketPaths, facts: Topology) -> str:
    """A base chain that a packet must have passed without an event: a rule switched the trace off."""
    for station in ways.forth:
        node = facts.traced.get(station.node)
        if node is None or station.left is None or station.key is None or station.fragment:
            continue
        missing = _missing(tuple(station.steps), station, node)
        if missing:
            return (
                f"a rule switched tracing off (nftrace) before {missing} in {station.hook} of {station.node}"
            )
    return ""


def _missing(steps: tuple[Step, ...], station: HookPass, node: TracedNode) -> str:
    assert station.key is not None
    place = steps, station.hook, station.key[0]
    found = node.gaps.get(place)
    if found is None:
        families = _IP_FAMILIES[station.key[0]]
        seen = {(step.family, step.table, step.chain) for step in steps}
        absent = (
            f"{family} {table} {chain}"
            for (family, table, chain), base in node.base_chains.items()
            if family in families
            and base.hook == station.hook
            and base.type in ("filter", "route")
            and not base.own
            and base.priority <= _LAST
            and (family, table, chain) not in seen
        )
        found = node.gaps[place] = next(absent, "")
    return found


def _ok(flow: Flow, sighting: ProbeResult, ways: PacketPaths, facts: Topology) -> str:
    reply = sighting.reply
    way = ways.proxied or ways.forth
    if not way:
        return _ok_unseen(flow, sighting, ways, facts)
    end = way[-1]
    if end.dropped:
        return f"an answer came, though {end.node} dropped the packet in {end.hook}"
    if end.left is None or end.hook not in _LAST_HOOKS:
        return f"an answer came, though the packet was followed to {end.hook} of {end.node} only"
    if reply is not None:
        there = end.node if end.hook == "input" else facts.owner(endpoints(end.left)[1][0], end.node)
        return contradiction(reply, end.left) or _impostor(reply, there, facts)
    return sighting.inner


def _impostor(reply: Reply, there: str | None, facts: Topology) -> str:
    """That an answer names another node than the one to which the packet went; empty if it does not."""
    if there is None or facts.namespace(reply.node) == facts.namespace(there):
        return ""
    return f"the answer says that {reply.node} gave it, and the packet went to {there}"


def contradiction(reply: Reply, key: bytes) -> str:
    """Where an answer contradicts the packet's last header; empty if nowhere."""
    (src, sport), (dst, dport) = endpoints(key)
    peer, local = unmapped(reply.peer), unmapped(reply.local)
    if (peer, reply.peer_port) != (src, sport):
        said = f"{peer} port {reply.peer_port}"
        return f"the answer says that it saw {said}, the packet's last header has {src} port {sport}"
    if reply.local_port != dport or (local != dst and local not in _WILDCARDS):
        said = f"{local} port {reply.local_port}"
        return f"the answer says that {said} was asked, the packet's last header has {dst} port {dport}"
    return ""


def _ok_unseen(flow: Flow, sighting: ProbeResult, ways: PacketPaths, facts: Topology) -> str:
    """An answer to a packet that no host's IP hooks showed."""
    if sighting.key is None:
        return ""
    inside = facts.owns(flow.origin, flow.address) and flow.via is None
    if sighting.reply is not None:
        there = facts.owner(endpoints(sighting.key)[1][0], flow.origin)
        said = contradiction(sighting.reply, sighting.key) or _impostor(sighting.reply, there, facts)
        if said:
            return said
    if inside or ways.switched:
        return ""
    return _unseen(flow, facts)


def _unseen(flow: Flow, facts: Topology) -> str:
    """Why some host should have seen a packet; empty if there is no host between the two nodes."""
    if facts.owns(flow.origin, flow.address) and flow.via is None:
        return ""
    owner = facts.owner(flow.address, flow.origin)
    if (
        owner is not None
        and facts.home(flow.origin) is None
        and facts.home(owner) is None
        and flow.via is None
    ):
        return ""
    return "no host saw the packet"


def _refused(flow: Flow, sighting: ProbeResult, ways: PacketPaths, facts: Topology) -> str:
    if stopped(ways):
        return ""
    if ways.forth and ways.forth[-1].left is None:
        return f"it was refused before the packet came to the end of {ways.forth[-1].hook}"
    if sighting.listens:
        return f"it was refused, though a socket listens there on {sighting.listens}"
    return "" if ways.forth or ways.switched else _unseen(flow, facts)


def _closed(_: Flow, sighting: ProbeResult, ways: PacketPaths, __: Topology) -> str:
    if stopped(ways):
        return ""
    if ways.proxied and ways.back and not sighting.listens:
        return ""  # the proxy's own connection was refused, and nothing listens there
    return "the connection was accepted, but only its first packet was traced"


def _unreachable(flow: Flow, sighting: ProbeResult, ways: PacketPaths, facts: Topology) -> str:
    if stopped(ways):
        return ""
    icmp = sighting.icmp
    if icmp is not None and (icmp.type, icmp.code) in ((3, 3), (1, 4)):
        if sighting.listens:
            return f"it was refused, though a socket listens there on {sighting.listens}"
        return "" if ways.forth or ways.switched else _unseen(flow, facts)
    return (
        "" if refusing(sighting.route) else "an ICMP error came, and neither a rule nor a route explains it"
    )


def _timeout(_: Flow, sighting: ProbeResult, ways: PacketPaths, __: Topology) -> str:
    end = stopped(ways)
    if end is not None:
        return (
            f"a copy of the packet was dropped in {end.hook}, another was not" if end in ways.unsure else ""
        )
    if refusing(sighting.route) or sighting.silence:
        return ""
    return "no answer came, and neither a rule nor a route explains it"


def refusing(route: str | None) -> bool:
    """Whether the routing table's answer is a refusal: an error, or a route that leads nowhere."""
    if route is None:
        return False
    answer = route.partition(": ")[2].split(" ")
    return not answer[0].islower() or answer[0] in ("blackhole", "unreachable", "prohibit")


def conclude(flow: Flow, sighting: ProbeResult, ways: PacketPaths, facts: Topology, reason: str) -> None:
    """Something is still unproven after the wide instrument: record that, and where the packet was lost."""
    if sighting.outcome == "ok" and not hidden(ways, facts):
        sighting.outcome, sighting.problem = "unmeasured", reason
        return
    sighting.lost_in = _last_node(flow, ways)
    if sighting.outcome in ("timeout", "closed") and not hidden(ways, facts):
        sighting.lost = lost_between(flow, ways, facts)
    else:
        sighting.lost = reason


def _last_node(flow: Flow, ways: PacketPaths) -> str:
    way = ways.returned or ways.back or ways.proxied or ways.forth
    return way[-1].node if way else flow.origin


def lost_between(flow: Flow, ways: PacketPaths, facts: Topology) -> str:
    """Between which two places the packet, or its answer, was seen last and not any more."""
    way = ways.returned or ways.back or ways.proxied or ways.forth
    whose = "its answer was lost" if ways.back or ways.returned else "lost"
    if not way:
        return f"{whose} before OUTPUT of {flow.origin}"
    end = way[-1]
    hook = end.hook.upper()
    if end.left is None:
        step = end.steps[-1] if end.steps else None
        after = f" after {step.family} {step.table} {step.chain}" if step is not None else ""
        return f"{whose} in {hook} of {end.node}{after}"
    if end.hook == "input":
        return f"{whose} between INPUT of {end.node} and the program there"
    if end.hook == "prerouting":
        return f"{whose} between PREROUTING of {end.node} and its next hook"
    if end.hook == "postrouting":
        receiver = facts.owner(endpoints(end.left)[1][0], end.node)
        return f"{whose} between POSTROUTING of {end.node} and {receiver or 'its receiver'}"
    return f"{whose} between {hook} of {end.node} and POSTROUTING"
