"""A set of packets as few boxes as it takes: each field in some ranges, all other fields free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netlab.exposure.diagrams import FIELDS, Diagrams, Packets, Ranges, ranges_of

#: field → its ranges; a field that is not in it may have any value
Box = Mapping[str, Ranges]
_ORDER = tuple(FIELDS)


class Boxes:
    """Describes sets of packets of one family."""

    def __init__(self, diagrams: Diagrams) -> None:
        self._diagrams = diagrams
        self._known: dict[tuple[Packets, Packets, int], tuple[Box, ...]] = {}

    @property
    def none(self) -> Packets:
        """The set without any packet."""
        return self._diagrams.none

    def union(self, parts: Iterable[Packets]) -> Packets:
        """All packets of several sets."""
        return self._diagrams.union(parts)

    def cover(self, must: Packets, may: Packets | None = None) -> tuple[Box, ...]:
        """Boxes that have all packets of ``must``, and no others than those of ``may``."""
        return self._cover(must, must if may is None else may | must, 0)

    def cover_by_port(self, must: Packets, may: Packets) -> tuple[Box, ...]:
        """Boxes as :meth:`cover` makes them; sets that differ in their one port only are covered once."""
        port = self._diagrams.only(must, "dport")
        if port is None:
            return self.cover(must, may)
        some, allowed = (self._diagrams.with_value(one, "dport", port) for one in (must, may))
        return tuple({**box, "dport": ((port, port),)} for box in self.cover(some, allowed))

    def _cover(self, must: Packets, may: Packets, at: int) -> tuple[Box, ...]:
        if must == self._diagrams.none:
            return ()
        if may == self._diagrams.every:
            return ({},)
        key = must, may, at
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._split(must, may, at)
        return found

    def _split(self, must: Packets, may: Packets, at: int) -> tuple[Box, ...]:
        """By the values of one field, and before that what all of its values have in common."""
        diagrams, name = self._diagrams, _ORDER[at]
        classes = diagrams.classes((must, may), name)
        if len(classes) == 1:
            ((wanted, allowed),) = classes
            return self._cover(wanted, allowed, at + 1)
        common = diagrams.every
        for _, allowed in classes:
            common &= allowed
        every = diagrams.union(wanted for wanted, _ in classes)
        if every & ~common == diagrams.none:
            return self._cover(every, common, at + 1)
        plain = self._by_value(classes, diagrams.none, at)
        shared = every & common
        if shared == diagrams.none:
            return plain
        both = self._cover(shared, common, at + 1)
        if len(both) >= len(plain):
            return plain
        rest = self._by_value(classes, common, at)
        return (*both, *rest) if len(both) + len(rest) < len(plain) else plain

    def _by_value(
        self, classes: Mapping[tuple[Packets, ...], Ranges], without: Packets, at: int
    ) -> tuple[Box, ...]:
        """Values that can be described together are; those that do not matter join where that is shorter."""
        none = self._diagrams.none
        groups: list[tuple[Packets, Packets, list[tuple[int, int]]]] = []
        free: list[tuple[Packets, Ranges]] = []
        ordered = sorted(classes.items(), key=lambda item: (item[0][0].dag_size, item[1]), reverse=True)
        for (wanted, allowed), ranges in ordered:
            needed = wanted & ~without
            if needed == none:
                free.append((allowed, ranges))
                continue
            for number, (group, limit, values) in enumerate(groups):
                together, narrow = group | needed, limit & allowed
                if together & ~narrow == none:
                    groups[number] = together, narrow, [*values, *ranges]
                    break
            else:
                groups.append((needed, allowed, list(ranges)))
        found: list[Box] = []
        for group, limit, values in groups:
            best = ranges_of(values)
            wider, narrow = list(values), limit
            for allowed, ranges in free:
                if group & ~allowed == none:
                    wider += ranges
                    narrow &= allowed
            joined = ranges_of(wider)
            if len(joined) < len(best):
                best, limit = joined, narrow
            whole = best == ((0, (1 << self._diagrams.widths[_ORDER[at]]) - 1),)
            for box in self._cover(group, limit, at + 1):
                found.append(box if whole else {_ORDER[at]: best, **box})
        return tuple(found)

    def packets(self, boxes: Iterable[Box]) -> Packets:
        """All packets of the boxes."""
        diagrams = self._diagrams
        parts = []
        for box in boxes:
            part = diagrams.every
            for name, ranges in box.items():
                part &= diagrams.field(name, ranges)
            parts.append(part)
        return diagrams.union(parts)

    def share(self, box: Box) -> float:
        """The share of all packets that are in a box."""
        found = 1.0
        for name, ranges in box.items():
            found *= sum(high - low + 1 for low, high in ranges) / (1 << self._diagrams.widths[name])
        return found
