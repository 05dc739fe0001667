"""Numbers that a packet's fields are not yet known to be: the same code computes with them as with integers.

A comparison asks the explorer, which takes one answer now and the other one later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from netlab.exposure.diagrams import Packets
    from netlab.exposure.explore import Explorer

T = TypeVar("T")


class Bits:
    """A number of which each bit is a variable or known, the most significant one first.

    It can be shifted, masked and compared with integers and with others. It has no hash and no value, so
    that code which needs either fails instead of being wrong.
    """

    __slots__ = ("bits", "explorer", "name")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, explorer: Explorer, bits: tuple[str | bool, ...], name: str) -> None:
        self.explorer = explorer
        self.bits = bits
        self.name = name

    def __str__(self) -> str:
        return self.name

    def _made(self, bits: tuple[str | bool, ...]) -> Bits | int:
        """The number of these bits: an integer if all of them are known."""
        if all(isinstance(bit, bool) for bit in bits):
            return sum(1 << place for place, bit in enumerate(reversed(bits)) if bit)
        return Bits(self.explorer, bits, self.name)

    def __rshift__(self, places: int) -> Bits | int:
        return self._made(self.bits[: max(0, len(self.bits) - places)])

    def __and__(self, mask: int) -> Bits | int:
        width = len(self.bits)
        return self._made(
            tuple(bit if mask >> width - 1 - at & 1 else False for at, bit in enumerate(self.bits))
        )

    def __or__(self, other: int) -> Bits | int:
        width = max(len(self.bits), other.bit_length())
        padded = (False,) * (width - len(self.bits)) + self.bits
        return self._made(
            tuple(True if other >> width - 1 - at & 1 else bit for at, bit in enumerate(padded))
        )

    __ror__ = __or__
    __rand__ = __and__

    def look_up(self, table: Mapping[int, T]) -> T | None:
        """The value of a table at this number; one decision, however long the table is."""
        diagrams = self.explorer.diagrams

        def answers(region: Packets) -> list[tuple[Any, Packets]]:
            groups: dict[T, list[Packets]] = {}
            for number, value in table.items():
                groups.setdefault(value, []).append(diagrams.equal(self.bits, number))
            found: list[tuple[Any, Packets]] = []
            rest = region
            for value, parts in groups.items():
                some = diagrams.union(parts)
                found.append((value, region & some))
                rest &= ~some
            return [*found, (None, rest)]

        chosen: T | None = self.explorer.choose(answers)
        return chosen

    def one_answer(self, key: Hashable, code: Callable[[], T]) -> T:
        """What code returns that looks at this number: one decision with an answer for each result."""
        return self.explorer.grouped(key, code)

    # -- comparisons

    def _ask(self, packets: Packets) -> bool:
        return self.explorer.decide(packets)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Bits):
            return self._same(other)
        return isinstance(other, int) and self._ask(self.explorer.diagrams.equal(self.bits, other))

    def _same(self, other: Bits) -> bool:
        width = max(len(self.bits), len(other.bits))
        mine, its = ((False,) * (width - len(one.bits)) + one.bits for one in (self, other))
        if mine == its:
            return True
        diagrams = self.explorer.diagrams
        found = diagrams.every
        for one, two in zip(mine, its, strict=True):
            found &= ~(diagrams.bit(one) ^ diagrams.bit(two))
        return self._ask(found)

    def __ge__(self, other: int) -> bool:
        return self._ask(self.explorer.diagrams.at_least(self.bits, other))

    def __gt__(self, other: int) -> bool:
        return self >= other + 1

    def __lt__(self, other: int) -> bool:
        return not self >= other

    def __le__(self, other: int) -> bool:
        return not self >= other + 1
