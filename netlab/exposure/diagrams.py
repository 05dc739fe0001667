"""Sets of packets as binary decision diagrams: the variables, and sets of one field's values."""

from __future__ import annotations

import atexit
import gc
import sys
import weakref
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Any, Final

from netlab.first_use import at_first_use
from netlab.model.errors import MachineError
from netlab.model.family import Family
from netlab.model.flow import FlowProtocol

#: A set of packets: a function of the package dd, which has no types.
Packets = Any
#: inclusive ranges of numbers, in order
Ranges = tuple[tuple[int, int], ...]

PROTOCOLS: Final[tuple[FlowProtocol, ...]] = ("tcp", "udp", "sctp", "icmp")
#: fields from the top of the diagrams to the bottom, with their widths; None: that of an address
FIELDS: Final = {"protocol": 2, "dst": None, "dport": 16, "src": None, "sport": 16}


#: nodes of a set from which on it is described in longer words than it could be, because that takes less time
_LARGE: Final = 4000
#: of how many parts of sets it is remembered at most by which values they are reached
_MOST_RUNS: Final = 1 << 17
#: (first value, last value, what is left of the sets with them)
_Run = tuple[int, int, tuple[Packets, ...]]
#: what is left of some sets, and from which bit of a field on
_Place = tuple[tuple[Packets, ...], int]
#: half a second of importing, for what most verbs do not need
_library: Any = at_first_use(__name__, {"cudd": "dd.cudd", "autoref": "dd.autoref"})


#: Managers with their users. CUDD's complains, and keeps its memory, if the collector takes it before its
#: sets, so that one stays until the next is made.
_managers: list[tuple[weakref.ref[object], Any]] = []


def _without_graphs(name: str) -> Any:
    """A module of dd, imported without networkx, which takes it three times as long as itself.

    dd does without where it is not installed; it is for graphs that nobody here draws.
    """
    absent = "networkx" not in sys.modules
    if absent:
        sys.modules["networkx"] = None  # type: ignore[assignment]
    try:
        return _library(name)
    finally:
        if absent:
            del sys.modules["networkx"]


# At the end of the process, the collector would take managers before their sets, and CUDD complain.
atexit.register(gc.freeze)


def manager(user: object) -> Any:
    """A manager of diagrams: CUDD's where the package dd was built with it, otherwise that of pure Python.

    It lasts at least as long as ``user``.
    """
    _managers[:] = [(one, kept) for one, kept in _managers if one() is not None]
    try:
        module = _without_graphs("cudd")
    except ImportError:
        try:
            module = _without_graphs("autoref")
        except ImportError:
            raise MachineError(
                "exposure needs the package dd: run ./install again, or pip install dd"
            ) from None
    found = module.BDD()
    inner = getattr(found, "_bdd", None)
    if inner is not None:
        # dd counts references when a manager goes, and complains where the collector takes it with its sets.
        inner.__class__ = type("BDD", (type(inner),), {"__del__": lambda _: None})
    _managers.append((weakref.ref(user), found))
    return found


class Diagrams:
    """The sets of packets of one family. Variables are bits of fields, the most significant one first."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.bdd = manager(self)
        self.bdd.configure(reordering=False)
        self.widths = {name: width or family.bits for name, width in FIELDS.items()}
        self.names = {
            name: tuple(f"{name}{bit}" for bit in range(width)) for name, width in self.widths.items()
        }
        ordered = [bit for names in self.names.values() for bit in names]
        self.bdd.declare(*ordered)
        self.variables = {name: self.bdd.var(name) for name in ordered}
        self.levels = {name: self.bdd.level_of_var(names[0]) for name, names in self.names.items()}
        self.none: Packets = self.bdd.false
        self.every: Packets = self.bdd.true
        self._at_least: dict[tuple[tuple[str | bool, ...], int], Packets] = {}
        self._equal: dict[tuple[tuple[str | bool, ...], int], Packets] = {}
        self._octets: dict[tuple[tuple[str | bool, ...], int, int], Packets] = {}
        self._runs: dict[tuple[str, bool], dict[_Place, list[_Run]]] = {}

    # -- sets of the values of bits

    def equal(self, bits: tuple[str | bool, ...], value: int) -> Packets:
        """The packets in which these bits, a number, are ``value``."""
        key = bits, value
        found = self._equal.get(key)
        if found is None:
            found = self.masked(bits, (1 << len(bits)) - 1, value)
            self._equal[key] = found
        return found

    def masked(self, bits: tuple[str | bool, ...], mask: int, value: int) -> Packets:
        """The packets in which ``bits & mask == value``."""
        if value & ~mask or value >> len(bits):
            return self.none
        found = self.every
        for low in range(0, len(bits), 8):
            some = mask >> low & 0xFF
            if some:
                octet = bits[max(0, len(bits) - low - 8) : len(bits) - low]
                found = self._octet(octet, some, value >> low & 0xFF) & found
        return found

    def _octet(self, bits: tuple[str | bool, ...], mask: int, value: int) -> Packets:
        """The packets in which ``bits & mask == value``: eight bits at most, which many numbers share."""
        key = bits, mask, value
        found = self._octets.get(key)
        if found is None:
            found = self.every
            for place, bit in enumerate(reversed(bits)):
                if mask >> place & 1:
                    one = self.bit(bit)
                    found = (one if value >> place & 1 else ~one) & found
            self._octets[key] = found
        return found

    def at_least(self, bits: tuple[str | bool, ...], value: int) -> Packets:
        """The packets in which these bits, a number, are at least ``value``."""
        if value <= 0:
            return self.every
        if value >> len(bits):
            return self.none
        key = bits, value
        found = self._at_least.get(key)
        if found is None:
            found = self.every
            for place, bit in enumerate(reversed(bits)):
                variable = self.bit(bit)
                found = variable & found if value >> place & 1 else variable | found
            self._at_least[key] = found
        return found

    def bit(self, bit: str | bool) -> Packets:
        """The packets in which one bit is set."""
        if isinstance(bit, bool):
            return self.every if bit else self.none
        return self.variables[bit]

    def within(self, bits: tuple[str | bool, ...], ranges: Iterable[tuple[int, int]]) -> Packets:
        """The packets in which these bits, a number, are in one of the ranges."""
        parts = [
            self.equal(bits, low)
            if low == high
            else self.at_least(bits, low) & ~self.at_least(bits, high + 1)
            for low, high in ranges
        ]
        return self.union(parts)

    def union(self, parts: Iterable[Packets]) -> Packets:
        """All packets of several sets, joined pair by pair, which keeps the sets between small."""
        rest = list(parts)
        while len(rest) > 1:
            rest = [
                reduce(lambda one, other: one | other, rest[at : at + 2]) for at in range(0, len(rest), 2)
            ]
        return rest[0] if rest else self.none

    def field(self, name: str, ranges: Iterable[tuple[int, int]]) -> Packets:
        """The packets whose field is in one of the ranges."""
        return self.within(self.names[name], ranges)

    # -- reading a set

    def only(self, packets: Packets, name: str) -> int | None:
        """The one value that a field has in all packets of a set; None if it has several."""
        others = [bit for field, bits in self.names.items() if field != name for bit in bits]
        rest = self.bdd.exist(others, packets)
        value = 0
        for level in range(self.levels[name], self.levels[name] + self.widths[name]):
            if rest.level != level:
                return None
            low, high = self.halves(rest)
            if low != self.none and high != self.none:
                return None
            value = value << 1 | (low == self.none)
            rest = high if low == self.none else low
        return value

    def with_value(self, packets: Packets, name: str, value: int) -> Packets:
        """What is left of a set with one value of a field: the set of the packets' other fields."""
        bits = self.names[name]
        return self.bdd.let(
            {bit: bool(value >> place & 1) for place, bit in enumerate(reversed(bits))}, packets
        )

    def halves(self, packets: Packets) -> tuple[Packets, Packets]:
        """The set with its first variable 0, and with it 1."""
        low, high = packets.low, packets.high
        return (~low, ~high) if packets.negated else (low, high)

    def classes(self, sets: tuple[Packets, ...], name: str) -> dict[tuple[Packets, ...], Ranges]:
        """The values of a field by what is left of the sets with them: {rest of each set: values}.

        The field must be the first that the sets depend on, or come before it. With large sets, the second is
        only looked at where the first has something: elsewhere it is what it has for each of some values.
        """
        large = len(sets) == 2 and sets[1].dag_size > _LARGE
        known = self._runs.setdefault((name, large), {})
        if len(known) > _MOST_RUNS:
            known.clear()
        grouped: dict[tuple[Packets, ...], list[tuple[int, int]]] = {}
        for low, high, rest in self._runs_of(sets, 0, name, large, known):
            grouped.setdefault(rest, []).append((low, high))
        return {rest: tuple(ranges) for rest, ranges in grouped.items()}

    def _runs_of(
        self, now: tuple[Packets, ...], at: int, name: str, large: bool, known: dict[_Place, list[_Run]]
    ) -> list[_Run]:
        """The values of a field's bits from ``at`` on, by what is left of the sets with them."""
        key = now, at
        if key in known:
            return known[key]
        level, end = self.levels[name] + at, self.levels[name] + self.widths[name]
        levels = [one.level for one in now]
        if large and now[0] == self.none and levels[1] is not None and levels[1] < end:
            now = self.none, self.bdd.forall(self.names[name][at:], now[1])
            levels = [one.level for one in now]
        upper = min((one for one in levels if one is not None), default=end)
        if upper >= end:
            found = [(0, (1 << end - level) - 1, now)]
        else:
            pairs = [
                self.halves(one) if its == level else (one, one) for one, its in zip(now, levels, strict=True)
            ]
            lows, highs = zip(*pairs, strict=True)
            found = list(self._runs_of(lows, at + 1, name, large, known))
            offset = 1 << end - level - 1
            others = iter(self._runs_of(highs, at + 1, name, large, known))
            low, high, rest = next(others)
            if found[-1][2] == rest:
                found[-1] = found[-1][0], high + offset, rest
            else:
                found.append((low + offset, high + offset, rest))
            found += [(low + offset, high + offset, rest) for low, high, rest in others]
        known[key] = found
        return found

    def count(self, packets: Packets) -> int:
        """How many different packets a set has."""
        return int(packets.count(nvars=sum(self.widths.values())))


def ranges_of(values: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges in order, joined where they touch or overlap."""

    def joined() -> Iterator[tuple[int, int]]:
        last: tuple[int, int] | None = None
        for low, high in sorted(values):
            if last is not None and low <= last[1] + 1:
                last = last[0], max(last[1], high)
                continue
            if last is not None:
                yield last
            last = low, high
        if last is not None:
            yield last

    return tuple(joined())
