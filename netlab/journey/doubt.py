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
from netlab.model.journey import Icmp
from netlab.model.reply import Reply
from netlab.model.trace import Step

#: the priority of netlab's last chains
_LAST = (1 << 31) - 2
_LAST_HOOKS = ("input", "postrouting")
_IP_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}
_WILDCARDS = ("0.0.0.0", "::")


def doubt(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology) -> str:
    """What is not proven, in words; empty if everything is."""
    if result.outcome == "unmeasured":
        return ""
    if result.probe == "syn" and result.outcome in ("refused", "unreachable"):
        return (_refused if result.outcome == "refused" else _unreachable)(flow, result, paths, facts)
    if result.probe is not None and result.outcome == "unreachable":
        return _unreachable(flow, result, paths, facts)
    if result.probe == "segment" and result.outcome == "refused" and not stopped(paths) and result.guarded:
        return f"it was refused, and {result.guarded} may have done so"
    if result.probe == "syn" and result.outcome == "timeout" and paths.forth:
        return _timeout(flow, result, paths, facts)
    if result.probe is not None:  # packets made by hand may be anything: their trace is all there is
        return "" if paths.forth or result.outcome != "timeout" else _unseen(flow, facts)
    question = {
        "ok": _ok,
        "refused": _refused,
        "closed": _closed,
        "unreachable": _unreachable,
        "timeout": _timeout,
    }
    ask = question.get(result.outcome)
    return (ask(flow, result, paths, facts) if ask is not None else "") or hidden(paths, facts)


def hidden(paths: PacketPaths, facts: Topology) -> str:
    """A base chain that a packet must have passed without an event: a rule switched the trace off."""
    for hook_pass in paths.forth:
        node = facts.traced.get(hook_pass.node)
        if node is None or hook_pass.left is None or hook_pass.key is None or hook_pass.fragment:
            continue
        missing = _missing(tuple(hook_pass.steps), hook_pass, node)
        if missing:
            where = f"{missing} in {hook_pass.hook} of {hook_pass.node}"
            return f"a rule switched tracing off (nftrace) before {where}"
    return ""


def _missing(steps: tuple[Step, ...], hook_pass: HookPass, node: TracedNode) -> str:
    assert hook_pass.key is not None
    place = steps, hook_pass.hook, hook_pass.key[0]
    found = node.gaps.get(place)
    if found is None:
        families = _IP_FAMILIES[hook_pass.key[0]]
        seen = {(step.family, step.table, step.chain) for step in steps}
        absent = (
            f"{family} {table} {chain}"
            for (family, table, chain), base in node.base_chains.items()
            if family in families
            and base.hook == hook_pass.hook
            and base.type in ("filter", "route")
            and not base.own
            and base.priority <= _LAST
            and (family, table, chain) not in seen
        )
        found = node.gaps[place] = next(absent, "")
    return found


def _ok(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology) -> str:
    reply = result.reply
    passes = paths.proxied or paths.forth
    if not passes:
        return _ok_unseen(flow, result, paths, facts)
    end = passes[-1]
    if end.dropped:
        return f"an answer came, though {end.node} dropped the packet in {end.hook}"
    if end.left is None or end.hook not in _LAST_HOOKS:
        return f"an answer came, though the packet was followed to {end.hook} of {end.node} only"
    if reply is not None:
        there = end.node if end.hook == "input" else facts.owner(endpoints(end.left)[1][0], end.node)
        return contradiction(reply, end.left) or _impostor(reply, there, facts)
    return result.inner


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


def _ok_unseen(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology) -> str:
    """An answer to a packet that no host's IP hooks showed."""
    if result.key is None:
        return ""
    inside = facts.owns(flow.origin, flow.address) and flow.via is None
    if result.reply is not None:
        there = facts.owner(endpoints(result.key)[1][0], flow.origin)
        said = contradiction(result.reply, result.key) or _impostor(result.reply, there, facts)
        if said:
            return said
    if inside or paths.switched:
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


def _refused(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology) -> str:
    if stopped(paths):
        return ""
    if paths.forth and paths.forth[-1].left is None:
        return f"it was refused before the packet came to the end of {paths.forth[-1].hook}"
    return _unlistened(flow, result, paths, facts)


def _unlistened(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology) -> str:
    """Why it need not be the lack of a listening socket that was answered with a refusal."""
    if result.listens:
        return f"it was refused, though a socket listens there on {result.listens}"
    if result.guarded:
        return f"it was refused, and {result.guarded} may have done so"
    return "" if paths.forth or paths.switched else _unseen(flow, facts)


def _closed(_: Flow, result: ProbeResult, paths: PacketPaths, __: Topology) -> str:
    if stopped(paths):
        return ""
    if paths.proxied and paths.back and not result.listens:
        return ""  # the proxy's own connection was refused, and nothing listens there
    return "the connection was accepted, but only its first packet was traced"


def _unreachable(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology) -> str:
    if stopped(paths):
        return ""
    icmp = result.icmp
    if icmp is not None and (icmp.type, icmp.code) in ((3, 3), (1, 4)):
        if flow.protocol != "udp":
            what = "an echo" if flow.protocol == "icmp" else "a connection"
            return f"{what} was refused by an ICMP error, which only a rule does"
        return _unlistened(flow, result, paths, facts)
    if icmp is not None and ran_out(icmp):
        return ""
    return "" if refusing(result.route) else "an ICMP error came, and neither a rule nor a route explains it"


def ran_out(icmp: Icmp) -> bool:
    """Whether the error says that the packet's hop limit ran out, which no rule says."""
    return (icmp.type, icmp.code) == ((3, 0) if ":" in icmp.sender else (11, 0))


def _timeout(_: Flow, result: ProbeResult, paths: PacketPaths, __: Topology) -> str:
    end = stopped(paths)
    if end is not None:
        return (
            f"a copy of the packet was dropped in {end.hook}, another was not" if end in paths.unsure else ""
        )
    if refusing(result.route) or result.silence:
        return ""
    return "no answer came, and neither a rule nor a route explains it"


def refusing(route: str | None) -> bool:
    """Whether the routing table's answer is a refusal: an error, or a route that leads nowhere."""
    if route is None:
        return False
    answer = route.partition(": ")[2].split(" ")
    return not answer[0].islower() or answer[0] in ("blackhole", "unreachable", "prohibit")


def conclude(flow: Flow, result: ProbeResult, paths: PacketPaths, facts: Topology, reason: str) -> None:
    """Something is still unproven after the wide instrument: record that, and where the packet was lost."""
    if result.outcome == "ok" and not hidden(paths, facts):
        result.outcome, result.problem = "unmeasured", reason
        return
    result.lost_in = _last_node(flow, paths, answered=result.outcome in ("refused", "unreachable"))
    if result.outcome == "closed" and not hidden(paths, facts) and not paths.proxied:
        result.lost = "its handshake passed, and later packets were lost where no rule was seen to end them"
    elif result.outcome in ("timeout", "closed") and not hidden(paths, facts):
        result.lost = lost_between(flow, paths, facts)
    else:
        result.lost = reason


def _last_node(flow: Flow, paths: PacketPaths, *, answered: bool) -> str:
    """Where the packet ended, or (unless it was answered) its answer."""
    passes = (not answered and (paths.returned or paths.back)) or paths.proxied or paths.forth
    return passes[-1].node if passes else flow.origin


def lost_between(flow: Flow, paths: PacketPaths, facts: Topology) -> str:
    """Between which two places the packet, or its answer, was seen last and not any more."""
    passes = paths.returned or paths.back or paths.proxied or paths.forth
    whose = "its answer was lost" if paths.back or paths.returned else "lost"
    if not passes:
        return f"{whose} before OUTPUT of {flow.origin}"
    end = passes[-1]
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
