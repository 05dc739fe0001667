"""What is known of one flow before it is a journey: the probe's result, and its packets in the trace."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from netlab.journey.headers import PROTOCOLS, endpoints, make_key, reverse
from netlab.journey.hook_passes import HookPass
from netlab.journey.legs import Index
from netlab.journey.topology import Topology
from netlab.model.family import Family, unmapped
from netlab.model.flow import Flow
from netlab.model.journey import Icmp
from netlab.model.outcome import OutcomeName
from netlab.model.reply import Reply


@dataclass(slots=True)
class ProbeResult:
    """What the probe itself saw at the origin.

    ``key`` is that of its first packet (see :mod:`netlab.journey.headers`), None if no packet left. ``route``
    is the routing table's answer, if it was queried.
    """

    outcome: OutcomeName
    source: tuple[str, int] | None = None
    key: bytes | None = None
    reply: Reply | None = None
    icmp: Icmp | None = None
    errno: str | None = None
    probe: str | None = None
    route: str | None = None
    answer_turned_away: bool = False  #: ``route`` is about the answer, at the node ``lost_in``
    #: the keys of the proxies' own first packets, one behind the other, by the proxies' word, each with the
    #: node where that packet is first; None: where the proxy is
    seconds: Sequence[tuple[bytes, str | None]] = ()
    listens: str = ""  #: the node on which a socket waits where the packet went, if one does
    guarded: str = ""  #: rules that were not traced where the packet went, in words
    inner: str = ""  #: why the last header in a host need not be the one that the server saw
    stray: tuple[str, int] | None = None  #: (address, port) of an answer that came from elsewhere than asked
    silence: str = ""  #: what ended the packet, if no rule decided
    lost: str = ""  #: what is known of a packet whose end the trace does not show
    lost_in: str | None = None  #: the node of ``silence`` and ``lost``
    in_vain: bool = False  #: the kernel said that it searched for a neighbour in vain
    withheld: bool = (
        False  #: the routing table refused the packet, and the error that it should cause is missing
    )
    token: str = ""  #: the payload, for datagrams, whose beginning is in the trace
    problem: str | None = None
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class PacketPaths:
    """The hook passes of one flow: forward, through the proxy, back (to the proxy, if there is one), over a
    bridge.

    ``lost`` are drops of the flow's packets elsewhere: of later segments, on a bridge or a device, during
    neighbour discovery. ``unsure`` are drops of a copy, if it is unknown which copy mattered. ``returned`` is
    the proxy's own answer to the client; ``errors`` is an ICMP error about the packet, at the hooks that
    showed it, if requested.
    """

    forth: list[HookPass] = field(default_factory=list)
    proxied: list[HookPass] = field(default_factory=list)
    back: list[HookPass] = field(default_factory=list)
    returned: list[HookPass] = field(default_factory=list)
    switched: list[HookPass] = field(default_factory=list)
    lost: list[HookPass] = field(default_factory=list)
    unsure: list[HookPass] = field(default_factory=list)
    errors: list[HookPass] = field(default_factory=list)

    def all(self) -> list[HookPass]:
        """All of them."""
        return [
            *self.forth,
            *self.proxied,
            *self.back,
            *self.returned,
            *self.switched,
            *self.lost,
            *self.errors,
        ]


def stopped(paths: PacketPaths) -> HookPass | None:
    """Where a rule ended the packet or its answer, or handed it to a program that did not give it back."""
    for passes in (paths.forth, paths.proxied, paths.back, paths.returned):
        for hook_pass in passes:
            if hook_pass.dropped or (hook_pass is passes[-1] and hook_pass.taken):
                return hook_pass
    others = (*paths.switched, *paths.lost, *paths.errors)
    return next((hook_pass for hook_pass in others if hook_pass.dropped), None)


def find_paths(
    flow: Flow, result: ProbeResult, index: Index, facts: Topology, *, back: bool = True
) -> PacketPaths:
    """Find the flow's packets among the hook passes of the measurement; with ``back``, the answers, too."""
    paths = PacketPaths()
    if result.key is None:
        return paths
    arrived = result.outcome in ("ok", "closed")
    hosts, start = facts.traced_nodes, facts.start(flow.origin, flow.via)
    paths.forth = _own_way(index.follow(result.key, hosts, start, passed=arrived), facts)
    for key, node in result.seconds:
        begins = node or _end(paths.proxied or paths.forth)
        paths.proxied += _own_way(index.follow(key, hosts, begins, passed=arrived), facts)
    if not paths.proxied and result.reply is not None:
        paths.proxied = _by_reply(flow, result.reply, paths.forth, index, facts)
    if flow.protocol == "udp" and result.token:
        if not paths.proxied:
            paths.proxied = _by_token(result.token, paths.forth, index, facts)
        elif result.seconds:
            paths.proxied += _by_token(result.token, paths.proxied, index, facts)
    if back:
        last = paths.proxied or paths.forth
        final = (last[-1].left or last[-1].key) if last else result.key
        if final is not None:
            # A node that pings its own address answers with the addresses of the request.
            paths.back = index.follow(reverse(final), hosts, _end(last), other=last)
        if paths.proxied and (end := paths.forth[-1].left) is not None:
            paths.returned = index.follow(reverse(end), hosts, _end(paths.forth))
    _jump(paths, index, facts)
    keys = [result.key, *(hook_pass.left for hook_pass in paths.forth if hook_pass.left)]
    paths.switched = index.switched(keys)
    if back and result.outcome != "ok":
        _find_lost(result, paths, index, facts)
    return paths


def _own_way(passes: list[HookPass], facts: Topology) -> list[HookPass]:
    """A packet's passes as far as it goes itself: a rootless container's ends at its program.

    What the program sends for it may have the same addresses and ports.
    """
    for number, hook_pass in enumerate(passes):
        if passes[0].node in facts.programs and hook_pass.node != passes[0].node:
            return passes[:number]
    return passes


def _jump(paths: PacketPaths, index: Index, facts: Topology) -> None:
    """Continue after the packet's addresses changed between two hooks, by its contents, which are
    unchanged.
    """
    while paths.forth and facts.looked_at:
        end = paths.forth[-1]
        if end.hook != "postrouting" or end.left is None or end.node in facts.programs:
            return
        found = index.same_packet(end, {hook_pass.node for hook_pass in paths.forth})
        if found is None or found.key is None:
            return
        paths.forth += index.follow(found.key, facts.traced_nodes, found.node)


def _find_lost(result: ProbeResult, paths: PacketPaths, index: Index, facts: Topology) -> None:
    """Drops of the flow's packets that are on none of its paths."""
    known = paths.all()
    keys = {result.key, *(s.key for s in known), *(s.left for s in known)}
    found = [
        hook_pass
        for key in keys
        if key is not None
        for one in (key, reverse(key))
        for hook_pass in index.entering(one)
        if hook_pass.dropped and not any(hook_pass is other for other in known)
    ]
    paths.lost = [hook_pass for hook_pass in found if not index.copies(hook_pass) or index.meant(hook_pass)]
    if not paths.lost and facts.looked_at:
        paths.lost = index.dropped_searches({key for key in keys if key is not None})
    ends = [hook_pass for hook_pass in known if hook_pass.dropped]
    paths.unsure = [hook_pass for hook_pass in ends if index.copies(hook_pass) and not index.meant(hook_pass)]


def _end(passes: list[HookPass]) -> str | None:
    return passes[-1].node if passes else None


def find_error(paths: PacketPaths, index: Index) -> Icmp | None:
    """The ICMP error about the packet of ``paths``, as the trace shows it: they hold its hook passes then."""
    found = index.errors(paths.forth)
    paths.errors = [hook_pass for hook_pass, _ in found]
    return found[0][1] if found else None


def _by_reply(
    flow: Flow, reply: Reply, forth: list[HookPass], index: Index, facts: Topology
) -> list[HookPass]:
    """The proxy's leg, found with the responder's report of its connection; empty if there was no proxy."""
    end = forth[-1] if forth else None
    if end is None or end.hook != "input" or end.left is None or flow.protocol == "icmp":
        return []
    number = PROTOCOLS[flow.protocol]
    try:
        local = unmapped(reply.local)
        if local in ("::", "0.0.0.0"):  # a datagram socket bound to every address does not know better
            local = Family.of(unmapped(reply.peer)).any
        seen = make_key(number, unmapped(reply.peer), reply.peer_port, local, reply.local_port)
    except (OSError, ValueError, struct.error):  # the answer is not netlab's
        return []
    if local in ("::", "0.0.0.0"):
        found = index.sent_from(seen, end.node)
        if found is None or end.left == found:
            return []
        return index.trace_back(found, end.node, facts.traced_nodes)
    return [] if end.left == seen else index.trace_back(seen, end.node, facts.traced_nodes)


def _by_token(token: str, forth: list[HookPass], index: Index, facts: Topology) -> list[HookPass]:
    """The proxy's leg of a datagram: it carries the same payload."""
    end = forth[-1] if forth else None
    if end is None or end.hook != "input" or end.left is None:
        return []
    node = facts.inside(end.node, "udp", *endpoints(end.left)[1]) or end.node
    key = index.sent_with(token.encode() + b"\n", node)
    if key is None or key == forth[0].key:
        return []
    return index.follow(key, facts.traced_nodes, node)


def silent_for_many(node: str) -> str:
    """Why no answer comes from an address of several machines: no protocol refuses what is sent there."""
    return f"{node} answers nobody at a broadcast address"
