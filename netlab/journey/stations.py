"""Trace events of one namespace → stations: one packet at one hook, from its first chain to its last.

::

    first-prerouting   ip raw PREROUTING   ip nat PREROUTING ... DOCKER   last-prerouting
    └ entry: headers   └────────────── steps, in order ──────────────┘    └ exit: headers after NAT

Events of several packets come mixed; within one packet they are in order. What holds a packet's events
together inside one hook is its trace id, which does not change there. From hook to hook it may
(net/netfilter/nf_tables_trace.c hashes the incoming interface into it, and a bridged frame's becomes the
bridge), so stations are joined into legs by the addresses with which a packet left one and entered the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from netlab.journey.headers import is_fragment_header, key_of_sections
from netlab.model.trace import (
    BaseChain,
    Headers,
    Layout,
    Step,
    TraceEvent,
    TraceKind,
    VerdictCode,
    Whole,
)

#: after these a packet is no longer at the hook
_ENDS: Final = frozenset((VerdictCode.DROP, VerdictCode.STOLEN))
#: so many packets may be under way at once; older ones are taken for gone
_OPEN_LIMIT: Final = 4096


class Station:
    """One packet at one hook.

    ``order`` counts stations in the order in which the kernel began them. ``exit`` is None while (or if)
    the packet has not reached the end of the hook; ``dropped`` if a rule or policy ended it here.
    """

    __slots__ = ("_entry", "_exit", "dropped", "family", "hook", "key", "left", "node", "order", "steps")

    def __init__(self, node: str, family: str, hook: str, order: int, layout: Layout, body: bytes) -> None:
        self.node = node
        self.family = family  #: ``ip`` for the hooks of IPv4 and IPv6, else ``bridge`` or ``netdev``
        self.hook = hook
        self.order = order
        self.steps: list[Step] = []
        self.dropped = False
        self.key = key_of_sections(*layout.sections(body))
        self.left: bytes | None = None  #: the key with which the packet left
        self._entry = (layout, body)
        self._exit: tuple[Layout, bytes] | None = None

    @property
    def entry(self) -> Headers:
        """The packet as it entered."""
        return self._entry[0].headers(self._entry[1])

    @property
    def exit(self) -> Headers | None:
        """The packet as it left."""
        return None if self._exit is None else self._exit[0].headers(self._exit[1])

    @property
    def fragment(self) -> bool:
        """Whether the packet was one of several fragments as it entered."""
        return is_fragment_header(self._entry[0].sections(self._entry[1])[0])

    def leave(self, layout: Layout, body: bytes) -> None:
        """The packet reached the end of the hook."""
        self._exit = (layout, body)
        self.left = key_of_sections(*layout.sections(body))

    def whole(self, last: Station) -> Station:
        """The packet, a first fragment, put together with the datagram that left in its place."""
        made = Station(self.node, self.family, self.hook, self.order, *self._entry)
        made._exit, made.left = last._exit, last.left
        made.steps, made.dropped = self.steps + last.steps, last.dropped
        return made

    def __repr__(self) -> str:
        end = "dropped" if self.dropped else "passed" if self._exit else "open"
        return f"<Station {self.node} {self.family} {self.hook} #{self.order} {end}>"


class Assembler:
    """Feeds on events, yields stations. ``on_drop`` is told at once of each packet that a rule ended."""

    def __init__(
        self,
        node: str,
        base_chains: Iterable[BaseChain],
        on_drop: Callable[[Station], None] | None = None,
    ) -> None:
        self.node = node
        self.stations: list[Station] = []
        self._open: dict[tuple[int, str], Station] = {}
        self._chains: dict[tuple[str, str, str], tuple[str, BaseChain]] = {}
        self._roles: dict[Step, tuple[str, BaseChain | None]] = {}
        self._on_drop = on_drop
        self._order = 0
        self.learn(base_chains)

    def learn(self, base_chains: Iterable[BaseChain]) -> None:
        """Take over a new list of base chains."""
        self._chains = {(c.family, c.table, c.name): (_layer(c.family), c) for c in base_chains}
        self._roles.clear()

    def feed(self, event: TraceEvent) -> None:
        """Take one event."""
        if event.headers is None:
            self.step(event.id, event.step)
        else:
            self.packet(event.id, event.step, Whole(event.headers), b"")

    def _role(self, step: Step) -> tuple[str, BaseChain | None]:
        found = self._chains.get((step.family, step.table, step.chain), (_layer(step.family), None))
        self._roles[step] = found
        return found

    def step(self, number: int, step: Step) -> None:
        """Take an event without headers: packet ``number`` met a rule or policy."""
        layer, chain = self._roles.get(step) or self._role(step)
        if chain is not None and chain.own == "other":
            return
        station = self._open.get((number, layer))
        if station is not None:
            self._met(number, layer, station, step)

    def packet(self, number: int, step: Step, layout: Layout, body: bytes) -> None:
        """Take an event with headers, which ``layout`` reads from ``body``: a base chain was entered."""
        layer, chain = self._roles.get(step) or self._role(step)
        station = self._open.get((number, layer))
        if chain is not None:
            if chain.own:
                if chain.own == "first":
                    self._begin(number, layer, chain.hook, layout, body)
                elif chain.own == "last":
                    self._end(number, layer, chain.hook, layout, body)
                return
            if station is None or station.hook != chain.hook:
                station = self._begin(number, layer, chain.hook, layout, body)
        if station is not None:
            self._met(number, layer, station, step)

    def _met(self, number: int, layer: str, station: Station, step: Step) -> None:
        if step.handle is not None or step.kind is TraceKind.POLICY:
            station.steps.append(step)
        if step.verdict in _ENDS:
            self._open.pop((number, layer), None)
            if step.dropped:
                station.dropped = True
                if self._on_drop is not None:
                    self._on_drop(station)

    def _begin(self, number: int, layer: str, hook: str, layout: Layout, body: bytes) -> Station:
        station = Station(self.node, layer, hook, self._order, layout, body)
        self._order += 1
        self.stations.append(station)
        if len(self._open) >= _OPEN_LIMIT:
            del self._open[next(iter(self._open))]
        self._open[(number, layer)] = station
        return station

    def _end(self, number: int, layer: str, hook: str, layout: Layout, body: bytes) -> None:
        station = self._open.pop((number, layer), None)
        if station is None or station.hook != hook:
            # A bridge's postrouting has only a last chain of ours: frames that the host sent end there.
            station = self._begin(number, layer, hook, layout, body)
            self._open.pop((number, layer), None)
        station.leave(layout, body)

    def clear(self) -> None:
        """Forget what is finished; packets under way are kept."""
        self.stations.clear()


def _layer(family: str) -> str:
    return family if family in ("bridge", "netdev", "arp") else "ip"
