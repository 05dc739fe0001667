"""Follow all packets that enter at one place, with the model that predicts single flows.

The model's own code is explored with a packet of unknown addresses and ports; only chains are evaluated for
all packets at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from netlab.exposure.bits import Bits
from netlab.exposure.chains import Said, SetChains
from netlab.exposure.diagrams import PROTOCOLS, Diagrams, Packets
from netlab.exposure.explore import Explorer
from netlab.exposure.fate import Fate
from netlab.journey.evidence import ProbeResult
from netlab.journey.hook_passes import HookPass
from netlab.model.family import Family
from netlab.model.flow import FlowProtocol
from netlab.model.outcome import PathName
from netlab.model.plan import Backend
from netlab.model.trace import Headers
from netlab.predict.connections import Connection, Conntrack, Tuple
from netlab.predict.evaluate import Passage, RuleName, Undetermined
from netlab.predict.exchange import (
    Exchange,
    NotPredicted,
    Result,
    datagram_of_many,
    first_packet,
    refuse_inside,
    unanswered,
)
from netlab.predict.hooks import Hooks
from netlab.predict.host import Namespace
from netlab.predict.packet import address_text
from netlab.predict.predictor import Predictor, refuse_unknown
from netlab.predict.sockets import Receiver, listening
from netlab.predict.stack import ERRORS, Stack, Trip

#: undetermined rules on one way that are followed to both sides
_MOST_FORKS = 4
#: how Linux refuses a packet for its addresses
_MARTIAN = (ERRORS["EXDEV"], ERRORS["EINVAL"])
_NO_HEADERS = Headers(None, None, b"", b"", b"", 0)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where packets enter: by an interface of a node from its link, or (None) sent by the node itself."""

    node: str
    interface: str | None = None

    def __str__(self) -> str:
        return self.node if self.interface is None else f"{self.interface} of {self.node}"


@dataclass(slots=True)
class Way:
    """Packets with one fate. ``accepted`` are the rules that let some of them through."""

    packets: Packets
    fate: Fate
    accepted: tuple[RuleName, ...] = ()


@dataclass(frozen=True, slots=True)
class _Open:
    """A fate that an undetermined rule leaves open."""

    rule: RuleName
    what: str
    effect: bool


class _Connections(Conntrack):
    """A conntrack whose tuples may have unknown numbers in them."""

    def __init__(self) -> None:
        super().__init__()
        self._known: list[tuple[Tuple, Connection, bool]] = []

    def find(self, one: Tuple) -> tuple[Connection, bool] | None:
        """The connection with this tuple, and whether it is that of its answers."""
        return next(((connection, reply) for own, connection, reply in self._known if own == one), None)

    def add(self, connection: Connection) -> None:
        """Know a connection by its two tuples."""
        self._known += [(connection.original, connection, False), (connection.reply, connection, True)]


@dataclass(slots=True)
class _Hooks(Hooks):
    """Hooks without headers; ``bridged``: whether a packet was switched from port to port."""

    bridged: bool = False

    def conntrack(self, space: Namespace) -> Conntrack:
        """The conntrack of a namespace."""
        return self.conntracks.setdefault(space.name, _Connections())

    def visit(self, passage: Passage, family: str, link: bytes) -> HookPass:
        """A packet's visit of a hook, as it begins."""
        self.bridged |= passage.bridged
        return Hooks.visit(self, passage, family, link)

    def headers(self, passage: Passage, link: bytes) -> Headers:
        """None: they are not known."""
        del passage, link
        return _NO_HEADERS


@dataclass(slots=True)
class Walker:
    """Follows packets of one family through a plan."""

    predictor: Predictor
    diagrams: Diagrams
    explorer: Explorer = field(init=False)
    _chains: SetChains = field(init=False)
    _proxied: dict[tuple[str, FlowProtocol, Backend], Result | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.explorer = Explorer(self.diagrams)
        self._chains = SetChains(self.explorer)

    @property
    def family(self) -> Family:
        """The family of the packets."""
        return self.diagrams.family

    def ways(self, entry: Entry, within: Packets) -> list[Way]:
        """What becomes of the packets ``within`` that enter here: disjoint sets, together all of them."""
        if self.predictor.plan.events:
            event = self.predictor.plan.events[0].text
            why = f"the lab's first events ({event}) happen once it is up, and change what no plan has"
            return [Way(within, Fate("unknown", why=why))]
        found = []
        for number, protocol in enumerate(PROTOCOLS):
            some = within & self.diagrams.field("protocol", [(number, number)])
            found += self._ways(entry, protocol, some, {})
        return found

    def _ways(
        self, entry: Entry, protocol: FlowProtocol, within: Packets, known: dict[RuleName, bool]
    ) -> list[Way]:
        found = []
        for packets, end in self.explorer.all(lambda: self._follow(entry, protocol, known), within):
            if isinstance(end, _Open):
                found += self._both(entry, protocol, packets, known, end)
            else:
                fate, said = end
                found += self._by_rule(packets, fate, said)
        return found

    def _both(
        self,
        entry: Entry,
        protocol: FlowProtocol,
        packets: Packets,
        known: dict[RuleName, bool],
        doubt: _Open,
    ) -> list[Way]:
        """Follow both continuations; where they end alike, the rule makes no difference."""
        rule = doubt.rule
        why = f"{rule.text} in {rule.table} {rule.chain} of {rule.node} depends on {doubt.what}"
        open_fate = Fate("depends", rule.node, why=why)
        if len(known) >= _MOST_FORKS:
            return [Way(packets, open_fate)]
        yes, no = (self._ways(entry, protocol, packets, {**known, rule: answer}) for answer in (True, False))
        found = []
        for one in yes:
            for other in no:
                both = one.packets & other.packets
                if both != self.diagrams.none:
                    same = one.fate == other.fate
                    found.append(Way(both, one.fate if same else open_fate, other.accepted if same else ()))
        return found

    # -- one way

    def _follow(
        self, entry: Entry, protocol: FlowProtocol, known: dict[RuleName, bool]
    ) -> tuple[Fate, tuple[Said, ...]] | _Open:
        self._chains.said = []
        hooks = _Hooks(known, run=self._chains.run)
        stack = Stack(self.predictor.links, hooks, refuse_unknown)
        space = self.predictor.spaces[self.predictor.links.homes[entry.node]]
        try:
            refuse_unknown(space)
            trip, errno = self._enter(stack, space, entry, protocol)
            if trip is None:
                return Fate("no-route", entry.node, why=ERRORS[errno]), ()
            return self._fate(trip, hooks, protocol), tuple(self._chains.said)
        except Undetermined as doubt:
            return _Open(doubt.rule, doubt.what, doubt.effect)
        except NotPredicted as reason:
            return Fate("unknown", why=str(reason)), ()

    def _number(self, name: str, words: str) -> Any:
        return Bits(self.explorer, self.diagrams.names[name], words)

    def _enter(
        self, stack: Stack, space: Namespace, entry: Entry, protocol: FlowProtocol
    ) -> tuple[Trip | None, str]:
        """The first packet's trip; or None, with the error of the sender's own call."""
        dst = self._number("dst", "its destination")
        echo = protocol == "icmp"
        dport = 1 if echo else self._number("dport", "its port")
        sport = 1 if echo else self._number("sport", "its source port")
        if entry.interface is not None:
            packet = first_packet(self.family, protocol, self._number("src", "its source"), sport, dst, dport)
            return stack.enter(space, entry.interface, packet), ""
        asked, errno = Exchange.first(space, self.family, protocol, dst, dport, source_port=sport)
        return (None, errno) if asked is None else (stack.send(space, asked.packet, asked.route), "")

    # -- its end

    def _fate(self, trip: Trip, hooks: _Hooks, protocol: FlowProtocol) -> Fate:
        space = trip.space
        assert space is not None
        path = self._path(trip, hooks)
        if trip.fate == "delivered":
            return self._arrived(trip, space, path, protocol)
        if trip.fate in ("drop", "reject"):
            return Fate("dropped" if trip.fate == "drop" else "rejected", space.name, path)
        if trip.fate == "error":
            return Fate("unroutable", space.name, path, why=_plainly(trip.route))
        return Fate("lost", space.name, path, why=_plainly(trip.route) or trip.why)

    def _arrived(self, trip: Trip, space: Namespace, path: PathName, protocol: FlowProtocol) -> Fate:
        packet = trip.packet
        if trip.shared and datagram_of_many(trip) is None:
            return Fate("lost", space.name, path, why=unanswered(trip))
        sees = None if isinstance(packet.src, Bits) else address_text(self.family, packet.src)
        port = packet.dport if isinstance(packet.dport, int) and protocol != "icmp" else None
        if protocol == "icmp":
            return Fate("reaches", space.name, path, sees=sees)
        found = listening(space, packet)
        if found is None and space.programs:
            names = ", ".join(space.programs)
            return Fate("unknown", space.name, path, why=f"{names} runs a program of its own")
        if found is None:
            return Fate("refused", space.name, path, sees=sees)
        refuse_inside(found)
        if found.backend is not None:
            return self._behind_proxy(found, found.backend, space, protocol)
        return Fate("reaches" if found.answers else "closed", found.node, path, found.service, port, sees)

    def _behind_proxy(
        self, found: Receiver, backend: Backend, space: Namespace, protocol: FlowProtocol
    ) -> Fate:
        key = space.name, protocol, backend
        if key not in self._proxied:
            stack = Stack(self.predictor.links, Hooks({}), refuse_unknown)
            exchange = Exchange(self.predictor.links, stack)
            self._proxied[key] = exchange.connect(space, protocol, backend)
        second = self._proxied[key]
        probe = second.probe if second is not None else ProbeResult("timeout")
        if probe.outcome != "ok" or probe.reply is None:
            return Fate("closed", space.name, "proxy", proxy=found.process, port=backend.port)
        reply = probe.reply
        return Fate(
            "reaches", reply.node, "proxy", reply.service, backend.port, reply.peer, proxy=found.process
        )

    def _path(self, trip: Trip, hooks: _Hooks) -> PathName:
        """How far the packet got in the hooks of hosts."""
        visited = [one.hook for one in trip.forth if one.node in self.predictor.hosts]
        switched = any(one.hook == "forward" for one in trip.switched if one.node in self.predictor.hosts)
        if hooks.bridged or (switched and "forward" not in visited):
            return "bridge"
        if "forward" in visited:
            return "forward"
        if not visited:
            return "none"
        if visited[-1] == "input":
            return "local"
        return "output" if visited[-1] in ("output", "postrouting") else "none"

    # -- the rules

    def _by_rule(self, packets: Packets, fate: Fate, said: Iterable[Said]) -> list[Way]:
        """Packets of one way by the rule that ended them; otherwise with the rules that let them through."""
        spoken = list(said)
        if fate.word in ("dropped", "rejected") and spoken:
            found = []
            for name, some in spoken[-1].by:
                here = packets & some
                if here != self.diagrams.none:
                    by = name.family, name.table, name.chain, name.text
                    ended = Fate(fate.word, fate.node, fate.path, by=by)
                    found.append(Way(here, ended))
            return found
        names: dict[RuleName, None] = {}
        for one in spoken:
            if one.type == "filter" and one.priority >= 0 and one.hook in ("forward", "input", "output"):
                for name, some in one.by:
                    if name.number and packets & some != self.diagrams.none:
                        names[name] = None
        return [Way(packets, fate, tuple(names))]


def _plainly(route: str) -> str:
    """The routing table's answer, without its question, which has a packet's addresses in it."""
    _, _, answer = route.partition(": ")
    return "its source or destination is not allowed there (martian)" if answer in _MARTIAN else answer
