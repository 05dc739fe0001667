"""What is known of one flow before it is a journey: the probe's sighting, and its packets in the trace."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from netlab.journey.headers import PROTOCOLS, make_key, reverse
from netlab.journey.hook_passes import HookPass
from netlab.journey.legs import Index
from netlab.journey.topology import Topology
from netlab.model.family import Family, unmapped
from netlab.model.flow import Flow, OutcomeName
from netlab.model.journey import Icmp
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
    second: bytes | None = None  #: key of the proxy's own first packet, by the proxy's word
    listens: str = ""  #: the node on which a socket waits where the packet went, if one does
    inner: str = ""  #: why the last header in a host need not be the one that the server saw
    stray: tuple[str, int] | None = None  #: (address, port) of an answer that came from elsewhere than asked
    silence: str = ""  #: what ended the packet, if no rule decided
    lost: str = ""  #: what is known of a packet whose end the trace does not show
    lost_in: str | None = None  #: the node of ``silence`` and ``lost``
    in_vain: bool = False  #: the kernel said that it searched for a neighbour in vain
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


def stopped(ways: PacketPaths) -> HookPass | None:
    """Where a rule ended the packet or its answer, or handed it to a program that did not give it back."""
    for way in (ways.forth, ways.proxied, ways.back, ways.returned):
        for station in way:
            if station.dropped or (station is way[-1] and station.taken):
                return station
    return next((station for station in (*ways.switched, *ways.lost) if station.dropped), None)


def find_paths(
    flow: Flow, sighting: ProbeResult, index: Index, facts: Topology, *, back: bool = True
) -> PacketPaths:
    """Find the flow's packets among the hook passes of the measurement; with ``back``, the answers, too."""
    ways = PacketPaths()
    if sighting.key is None:
        return ways
    arrived = sighting.outcome in ("ok", "closed")
    hosts, start = facts.traced_nodes, facts.start(flow.origin)
    ways.forth = index.follow(sighting.key, hosts, start, passed=arrived)
    if sighting.second is not None:
        ways.proxied = index.follow(sighting.second, hosts, _end(ways.forth), passed=arrived)
    if not ways.proxied and sighting.reply is not None:
        ways.proxied = _by_reply(flow, sighting.reply, ways.forth, index, facts)
    if not ways.proxied and flow.protocol == "udp" and sighting.token:
        ways.proxied = _by_token(sighting.token, ways.forth, index, facts)
    if back:
        last = ways.proxied or ways.forth
        final = (last[-1].left or last[-1].key) if last else sighting.key
        if final is not None:
            ways.back = index.follow(reverse(final), hosts, _end(last))
        if ways.proxied and (end := ways.forth[-1].left) is not None:
            ways.returned = index.follow(reverse(end), hosts, _end(ways.forth))
    _jump(ways, index, facts)
    keys = [sighting.key, *(station.left for station in ways.forth if station.left)]
    ways.switched = index.switched(keys)
    if back and sighting.outcome != "ok":
        _find_lost(sighting, ways, index, facts)
    return ways


def _jump(ways: PacketPaths, index: Index, facts: Topology) -> None:
    """Continue after the packet's addresses changed between two hooks, by its contents, which are
    unchanged.
    """
    while ways.forth and facts.looked_at:
        end = ways.forth[-1]
        if end.hook != "postrouting" or end.left is None:
            return
        found = index.same_packet(end, {station.node for station in ways.forth})
        if found is None or found.key is None:
            return
        ways.forth += index.follow(found.key, facts.traced_nodes, found.node)


def _find_lost(sighting: ProbeResult, ways: PacketPaths, index: Index, facts: Topology) -> None:
    """Drops of the flow's packets that are on none of its ways."""
    known = ways.all()
    keys = {sighting.key, *(s.key for s in known), *(s.left for s in known)}
    found = [
        station
        for key in keys
        if key is not None
        for one in (key, reverse(key))
        for station in index.entering(one)
        if station.dropped and not any(station is other for other in known)
    ]
    ways.lost = [station for station in found if not index.copies(station) or index.meant(station)]
    if not ways.lost and facts.looked_at:
        ways.lost = index.dropped_searches({key for key in keys if key is not None})
    ends = [station for station in known if station.dropped]
    ways.unsure = [station for station in ends if index.copies(station) and not index.meant(station)]


def _end(way: list[HookPass]) -> str | None:
    return way[-1].node if way else None


def find_error(ways: PacketPaths, index: Index) -> Icmp | None:
    """The ICMP error about the packet of ``ways``, as the trace shows it: they hold its stations then."""
    found = index.errors(ways.forth)
    ways.errors = [station for station, _ in found]
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
    if end is None or end.hook != "input":
        return []
    key = index.sent_with(token.encode() + b"\n", end.node)
    if key is None or key == forth[0].key:
        return []
    return index.follow(key, facts.traced_nodes, end.node)
