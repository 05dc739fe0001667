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

from netlab.journey.headers import key_of
from netlab.model.trace import BaseChain, Headers, Step, TraceEvent, TraceKind, VerdictCode

#: after these a packet is no longer at the hook
_ENDS: Final = frozenset((VerdictCode.DROP, VerdictCode.STOLEN))
#: so many packets may be under way at once; older ones are taken for gone
_OPEN_LIMIT: Final = 4096


class Station:
    """One packet at one hook.

    ``order`` counts stations in the order in which the kernel began them. ``exit`` is None while (or if)
    the packet has not reached the end of the hook; ``dropped`` if a rule or policy ended it here.
    """

    __slots__ = ("dropped", "entry", "exit", "family", "hook", "key", "left", "node", "order", "steps")

    def __init__(self, node: str, family: str, hook: str, order: int, entry: Headers) -> None:
        self.node = node
        self.family = family  #: ``ip`` for the hooks of IPv4 and IPv6, else ``bridge`` or ``netdev``
        self.hook = hook
        self.order = order
        self.entry = entry
        self.exit: Headers | None = None
        self.steps: list[Step] = []
        self.dropped = False
        self.key = key_of(entry)
        self.left: bytes | None = None  #: the key with which the packet left

    def __repr__(self) -> str:
        end = "dropped" if self.dropped else "passed" if self.exit else "open"
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
        number, step, headers = event
        role = self._roles.get(step)
        if role is None:
            role = self._roles[step] = self._chains.get(
                (step.family, step.table, step.chain), (_layer(step.family), None)
            )
        layer, chain = role
        if chain is not None and chain.own == "other":
            return
        if headers is not None and chain is not None:
            if chain.own == "first":
                self._begin(number, layer, chain.hook, headers)
                return
            if chain.own == "last":
                self._end(number, layer, chain.hook, headers)
                return
        station = self._open.get((number, layer))
        if headers is not None and chain is not None and (station is None or station.hook != chain.hook):
            station = self._begin(number, layer, chain.hook, headers)
        if station is None:
            return
        if step.handle is not None or step.kind is TraceKind.POLICY:
            station.steps.append(step)
        if step.verdict in _ENDS:
            self._open.pop((number, layer), None)
            if step.dropped:
                station.dropped = True
                if self._on_drop is not None:
                    self._on_drop(station)

    def _begin(self, number: int, layer: str, hook: str, headers: Headers) -> Station:
        station = Station(self.node, layer, hook, self._order, headers)
        self._order += 1
        self.stations.append(station)
        if len(self._open) >= _OPEN_LIMIT:
            del self._open[next(iter(self._open))]
        self._open[(number, layer)] = station
        return station

    def _end(self, number: int, layer: str, hook: str, headers: Headers) -> None:
        station = self._open.pop((number, layer), None)
        if station is None or station.hook != hook:
            # A bridge's postrouting has only a last chain of ours: frames that the host sent end there.
            station = self._begin(number, layer, hook, headers)
            self._open.pop((number, layer), None)
        station.exit = headers
        station.left = key_of(headers)

    def clear(self) -> None:
        """Forget what is finished; packets under way are kept."""
        self.stations.clear()


def _layer(family: str) -> str:
    return family if family in ("bridge", "netdev", "arp") else "ip"
