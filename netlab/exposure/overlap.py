"""Which of thousands of rules could match the same packet, told by the ranges of their fields alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import or_
from typing import Final

#: (first, last) value of a field
Range = tuple[int, int]
#: so many rules share one of the sets that are kept
_BLOCK: Final = 64


class Overlaps:
    """Sets of rules are numbers with a bit for each rule, so that one operation looks at all of them."""

    def __init__(self, rules: Sequence[Mapping[str, Range]], widest: Callable[[str], int]) -> None:
        """``rules``: field → the range outside of which a rule matches nothing; a field not in it is free.

        ``widest``: field → its largest value.
        """
        self._every = (1 << len(rules)) - 1
        self._rules = rules
        self._fields = {
            name: _Field(name, rules, widest(name))
            for name in dict.fromkeys(name for one in rules for name in one)
        }

    def of(self, number: int) -> int:
        """The rules before this one whose ranges overlap with its own in every field."""
        found = self._every & (1 << number) - 1
        for name, (low, high) in self._rules[number].items():
            found &= self._fields[name].meeting(low, high)
        return found

    def apart(self, number: int, earlier: int) -> tuple[int, dict[str, int]]:
        """Values that few of some rules share with this one: those rules, and field → value.

        Field by field, it is the value that most of the rules do not have.
        """
        values = {}
        for name, field in self._fields.items():
            low, high = self._rules[number].get(name, (0, field.widest))
            found, value = min(
                ((field.having(one) & earlier, one) for one in field.values(low, high)),
                key=lambda pair: pair[0].bit_count(),
            )
            if found != earlier:
                earlier, values[name] = found, value
                if not earlier:
                    break
        return earlier, values


class _Field:
    """The ranges of one field."""

    def __init__(self, name: str, rules: Sequence[Mapping[str, Range]], widest: int) -> None:
        self.widest = widest
        self._free = sum(1 << number for number, one in enumerate(rules) if name not in one)
        ranges = [(*one[name], number) for number, one in enumerate(rules) if name in one]
        self._begin = _Ordered([(low, number) for low, _, number in ranges])
        self._end = _Ordered([(-high, number) for _, high, number in ranges])
        self._having: dict[int, int] = {}
        #: the first value that no range has
        self._unnamed = 0
        for low, high, _ in sorted(ranges):
            if low > self._unnamed:
                break
            self._unnamed = max(self._unnamed, high + 1)

    def meeting(self, low: int, high: int) -> int:
        """The rules that begin before the end of a range and end after its beginning."""
        if low == high:
            return self.having(low)
        return self._begin.up_to(high) & self._end.up_to(-low) | self._free

    def having(self, value: int) -> int:
        """The rules that have a value in their range."""
        found = self._having.get(value)
        if found is None:
            found = self._having[value] = self._begin.up_to(value) & self._end.up_to(-value) | self._free
        return found

    def values(self, low: int, high: int) -> Iterable[int]:
        """Values from a range that are worth a look: one that no rule has, or its ends."""
        return (self._unnamed,) if low <= self._unnamed <= high else {low, high}


class _Ordered:
    """Rules in the order of a value."""

    def __init__(self, pairs: list[tuple[int, int]]) -> None:
        pairs.sort()
        self._values = [value for value, _ in pairs]
        self._bits = [1 << number for _, number in pairs]
        blocks = (
            sum(self._bits[at : at + _BLOCK]) for at in range(0, len(pairs) - len(pairs) % _BLOCK, _BLOCK)
        )
        self._sums = list(accumulate(blocks, or_, initial=0))

    def up_to(self, value: int) -> int:
        """The rules whose value is not larger."""
        count = bisect_right(self._values, value)
        block = count // _BLOCK
        found = self._sums[block]
        for bit in self._bits[block * _BLOCK : count]:
            found |= bit
        return found


def numbers(rules: int) -> Iterator[int]:
    """The numbers of the rules in a set, in order."""
    while rules:
        last = rules & -rules
        yield last.bit_length() - 1
        rules ^= last
