"""Which of thousands of rules could match the same packet, told by the ranges of their fields alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import or_
from typing import Final

#: (first, last) value of a field
Range = tuple[int, int]
#: so many rules share one of the sets that are kept
_BLOCK: Final = 64


class Overlaps:
    """Sets of rules are numbers with a bit for each rule, so that one operation looks at all of them."""

    def __init__(self, rules: Sequence[Mapping[str, Range]]) -> None:
        """``rules``: field → the range outside of which a rule matches nothing; a field not in it is free."""
        self._every = (1 << len(rules)) - 1
        self._rules = rules
        self._fields = {
            name: _Field(name, rules) for name in dict.fromkeys(name for one in rules for name in one)
        }

    def of(self, number: int) -> int:
        """The rules before this one whose ranges overlap with its own in every field."""
        found = self._every & (1 << number) - 1
        for name, (low, high) in self._rules[number].items():
            found &= self._fields[name].meeting(low, high)
        return found


class _Field:
    """The ranges of one field."""

    def __init__(self, name: str, rules: Sequence[Mapping[str, Range]]) -> None:
        self._free = sum(1 << number for number, one in enumerate(rules) if name not in one)
        ranges = [(*one[name], number) for number, one in enumerate(rules) if name in one]
        self._begin = _Ordered([(low, number) for low, _, number in ranges])
        self._end = _Ordered([(-high, number) for _, high, number in ranges])

    def meeting(self, low: int, high: int) -> int:
        """The rules that begin before the end of a range and end after its beginning."""
        return self._begin.up_to(high) & self._end.up_to(-low) | self._free


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
