"""Turn trace and probe results into journeys; query the kernel for what the trace does not show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final, NamedTuple, Protocol

from netlab.journey.build import journey_of
from netlab.journey.doubt import doubt
from netlab.journey.evidence import PacketPaths, ProbeResult, find_error, find_paths, stopped
from netlab.journey.headers import PROTOCOLS, answers, endpoints, make_key
from netlab.journey.hook_passes import HookPass
from netlab.journey.legs import Index, traced_tables
from netlab.journey.topology import Topology
from netlab.measure.crafted import CraftedProbe
from netlab.measure.in_flight import Probe
from netlab.measure.inquiry import Inquiry, way_after
from netlab.measure.tracer import Tracer
from netlab.model.family import Family, endpoint, unmapped
from netlab.model.flow import Flow
from netlab.model.journey import Journey

_WILDCARDS: Final = ("0.0.0.0", "::")
#: Proxies one behind the other: out of a rootless container, and into another one.
_PROXIES: Final = 4


class ProxyPair(Protocol):
    """A client's connection to a proxy, and the proxy's own: endpoints are (address, port)."""

    @property
    def protocol(self) -> str:
        """``tcp``, ``udp``, ``sctp``."""

    @property
    def client(self) -> tuple[str, int]:
        """Who asked."""

    @property
    def asked(self) -> tuple[str, int]:
        """The address that the client's connection has at the proxy."""

    @property
    def own(self) -> tuple[str, int]:
        """The proxy's own end of its connection."""

    @property
    def backend(self) -> tuple[str, int]:
        """Where it connected to."""


#: (host, CLOCK_MONOTONIC ns) → the pairs of that host's proxies since then
Pairs = Callable[[str, int], Sequence[ProxyPair]]


class Second(NamedTuple):
    """The first packet of a proxy's own connection: its key, and the node in which it begins."""

    key: bytes
    node: str


class Found(NamedTuple):
    """A journey, and what of it is not proven, in words; empty if everything is."""

    journey: Journey
    doubt: str


class Harvest:
    """Reads the traces of a round of probes."""

    def __init__(
        self,
        tracers: Sequence[Tracer],
        namespaces: Mapping[str, int],
        facts: Topology,
        pairs: Pairs | None,
        *,
        wide: bool,
    ) -> None:
        """``wide``: the wide instrument was used, so anything that is still unproven is reported in the
        journey.
        """
        self._tracers = tracers
        self._namespaces = namespaces
        self._facts = facts
        self._pairs = pairs
        self._wide = wide

    def hook_passes(self) -> Iterable[HookPass]:
        """Every hook pass of the round."""
        return chain.from_iterable(tracer.assembler.hook_passes for tracer in self._tracers)

    def journeys(self, probes: Sequence[Probe], began: int, inquiry: Inquiry, replies: bool) -> list[Found]:
        """The journeys of probes that have landed; ``began`` is CLOCK_MONOTONIC in nanoseconds."""
        index = Index(self.hook_passes(), self._facts)
        seconds = self.second_legs(began)
        found: list[tuple[Flow, ProbeResult, PacketPaths]] = []
        doubts: list[str] = []
        for probe in probes:
            result = probe.result
            assert result is not None
            result.token = probe.token
            back = replies or result.outcome != "ok"  # an answer that is known need not be searched for
            paths = find_paths(probe.flow, result, index, self._facts, back=back)
            _, paths = self.behind_proxies(probe.flow, result, paths, index, seconds, back=back)
            self._judge(probe, result, paths, index, inquiry)
            if isinstance(probe, CraftedProbe) and result.outcome == "timeout" and stopped(paths) is None:
                inquiry.lost_answer(result, paths)
            doubts.append(self._doubt(probe.flow, result, paths, inquiry))
            found.append((probe.flow, result, paths))
        self._look_up(paths for _, _, paths in found)
        journeys = (journey_of(*one, self._facts, replies=replies) for one in found)
        return [Found(journey, doubt) for journey, doubt in zip(journeys, doubts, strict=True)]

    def _judge(
        self, probe: Probe, result: ProbeResult, paths: PacketPaths, index: Index, inquiry: Inquiry
    ) -> None:
        """What the probe could not see, and the trace can."""
        taken = paths.forth[-1].hook == "input" if paths.forth else False  # else it left a rootless container
        if result.outcome == "timeout" and probe.flow.protocol == "tcp" and paths.proxied and taken:
            # The proxy connects only for a client that it has accepted; the drop there ended the wait.
            result.outcome = "closed"
        end = paths.forth[-1] if paths.forth else None
        turned_away = end is not None and end.hook == "prerouting" and end.left is not None
        if result.outcome == "unreachable" and end is not None and turned_away:
            result.route = self._route(end)
        if self._found_nobody(probe.flow, result, paths):
            result.outcome, result.icmp, result.in_vain = "timeout", None, True
        if result.outcome != "timeout":
            return
        # What answers a forged source does not come back to the forger.
        by_hand = isinstance(probe, CraftedProbe)
        if by_hand and paths.back and not any(hook_pass.dropped for hook_pass in paths.back):
            self._judge_forged(result, paths, inquiry)
            return
        error = find_error(paths, index)
        if by_hand and error is not None and stopped(paths) is None:
            result.outcome, result.icmp = "unreachable", error
            return
        if result.stray is not None:
            asked = endpoint(probe.flow.address, probe.flow.port or 0)
            where = paths.forth[-1].node if paths.forth else probe.flow.origin
            who = result.lost_in or self._facts.owner(result.stray[0], where) or "somebody"
            result.lost_in = who if who != "somebody" else None
            result.silence = f"{who} answered from {endpoint(*result.stray)}, not from {asked}"
        elif end is not None and turned_away:
            result.route = self._route(end)
            result.withheld = inquiry.withheld(result.route, end) and not index.errors(paths.forth)

    def _found_nobody(self, flow: Flow, result: ProbeResult, paths: PacketPaths) -> bool:
        """Whether an ICMP error says that no neighbour on a link has the next address.

        The kernel sends it after a search of three seconds, or earlier if another packet began the search. It
        counts as a timeout: otherwise, a flow's outcome would depend on the load, and on earlier flows.
        """
        icmp = result.icmp
        stop = stopped(paths)
        rejected = stop is not None and stop.key is not None  # the packet, not a search for a neighbour
        if result.outcome != "unreachable" or icmp is None or rejected:
            return False
        if (icmp.type, icmp.code) != ((1, 3) if ":" in icmp.sender else (3, 1)):
            return False
        end = paths.forth[-1] if paths.forth else None
        if end is None:
            return self._facts.owns(flow.origin, icmp.sender)
        return end.hook == "postrouting" and self._facts.owns(end.node, icmp.sender)

    def _judge_forged(self, result: ProbeResult, paths: PacketPaths, inquiry: Inquiry) -> None:
        """An answer to a forged source counts, unless it goes to another link than the one that asked."""
        first, last = paths.forth[0], paths.back[-1]
        inside, outside = self._interface(first, first.iif), self._interface(last, last.oif)
        asked, answered = self._facts.segment(first.node, inside), self._facts.segment(last.node, outside)
        if last.hook not in ("input", "postrouting"):
            return  # it went no further than the hooks that were traced: the routing table knows why
        if last.hook == "postrouting" and inquiry.found_nobody(last):
            result.lost_in = last.node
            result.silence = (
                f"{last.node} sent the answer out by {outside}, and found no neighbour there to take it"
            )
            return
        if first.hook == "output" or asked == answered:
            result.outcome = "ok" if answers(paths.back[0].entry) else "refused"
            return
        result.lost_in = last.node
        if last.hook == "input":
            result.silence = f"{last.node} has the source address, and took the answer itself"
        else:
            result.silence = (
                f"{last.node} sent the answer out by {outside}, "
                f"but the packet came in by {inside} of {first.node}"
            )

    def _interface(self, hook_pass: HookPass, index: int | None) -> str | None:
        return self._facts.traced[hook_pass.node].interface(index)

    def _doubt(self, flow: Flow, result: ProbeResult, paths: PacketPaths, inquiry: Inquiry) -> str:
        """What is not proven; after the closer look it goes into the probe's result."""
        silent = result.outcome == "timeout" and self._wide
        if (silent or result.outcome in ("refused", "closed", "unreachable")) and stopped(paths) is None:
            inquiry.look(flow, result, paths)
        reason = doubt(flow, result, paths, self._facts)
        if reason and self._wide:
            inquiry.explain(flow, result, paths, reason)
        return reason

    def _route(self, end: HookPass) -> str:
        """The routing table's answer for a packet that no hook saw after PREROUTING."""
        tracer = next(tracer for tracer in self._tracers if tracer.node == end.node)
        return way_after(end, tracer.netns, self._facts)

    def behind_proxies(
        self,
        flow: Flow,
        result: ProbeResult,
        paths: PacketPaths,
        index: Index,
        seconds: Mapping[tuple[str, bytes], Second],
        *,
        back: bool = True,
    ) -> tuple[ProbeResult, PacketPaths]:
        """The same with the connections that proxies made, by :meth:`second_legs`."""
        told: list[Second] = []
        while len(told) < _PROXIES and (second := self._second(paths, seconds, told)) is not None:
            told.append(second)
            result = replace(result, seconds=tuple(told))
            paths = find_paths(flow, result, index, self._facts, back=back)
        return result, paths

    def _second(
        self, paths: PacketPaths, seconds: Mapping[tuple[str, bytes], Second], told: Sequence[object]
    ) -> Second | None:
        """The first packet of what a proxy made of this connection, or of the last one that is known."""
        if paths.proxied and not told:
            return _on_wildcard(paths.forth, seconds)
        last = paths.proxied or (() if told else paths.forth)
        end = last[-1] if last else None
        if end is None or end.left is None:
            return None
        if end.node in self._facts.programs and end.hook == "postrouting":
            return seconds.get((self._facts.carriers[end.node], end.left))
        if end.hook != "input":
            return None
        return seconds.get((end.node, end.left)) or _on_wildcard(last, seconds)

    def second_legs(self, began: int) -> dict[tuple[str, bytes], Second]:
        """(Host, key of a client's packet at its proxy) → the proxy's own packet, by the proxies' word."""
        found: dict[tuple[str, bytes], Second] = {}
        if self._pairs is None:
            return found
        for tracer in self._tracers:
            for pair in self._pairs(tracer.node, began):
                number = PROTOCOLS[pair.protocol]
                # A dual-stack socket (Docker 19.03's) shows IPv4 addresses in their IPv6 form, or in both.
                client, asked, own, backend = (
                    (unmapped(address), port)
                    for address, port in (pair.client, pair.asked, pair.own, pair.backend)
                )
                inside = self._facts.inside(tracer.node, pair.protocol, *asked)
                if asked[0] in _WILDCARDS:  # a datagram socket that does not learn it
                    if not inside:
                        continue  # the token joins the legs
                    asked = (Family.of(client[0]).any, asked[1])
                second = Second(make_key(number, *own, *backend), inside or tracer.node)
                found[tracer.node, make_key(number, *client, *asked)] = second
        return found

    def _look_up(self, all_ways: Iterable[PacketPaths]) -> None:
        wanted: dict[str, set[tuple[str, str]]] = {}
        for paths in all_ways:
            for node, family, table in traced_tables(paths.all()):
                wanted.setdefault(node, set()).add((family, table))
        self.read_rules(wanted)

    def read_rules(self, wanted: Mapping[str, set[tuple[str, str]]]) -> None:
        """Have the text of every rule of these tables: node → (family, table)."""
        for tracer in self._tracers:
            tables = wanted.get(tracer.node)
            if tables:
                tracer.facts.take_rules(tracer.rules.lines(tables))


def _on_wildcard(passes: Sequence[HookPass], seconds: Mapping[tuple[str, bytes], Second]) -> Second | None:
    """What a proxy of a rootless engine's made of a datagram, by its client and port alone.

    Its socket is on every address, and does not learn which one was asked.
    """
    end = passes[-1] if passes else None
    if end is None or end.left is None or end.hook != "input":
        return None
    client, asked = endpoints(end.left)
    key = make_key(end.left[1], *client, Family.of(asked[0]).any, asked[1])
    return seconds.get((end.node, key))
