"""Which known word somebody meant who wrote an unknown one.

As :func:`difflib.get_close_matches` has it, but swapped letters count as one mistake (``wbe`` is near
``web``), and nothing has to be imported.
"""

from __future__ import annotations

from collections.abc import Iterable

#: The least likeness, from 0 (nothing in common) to 1, of a word that is worth a suggestion.
LEAST = 0.6
#: How many characters of a word are looked at.
_LONGEST = 64


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like ``word``; None if none is near. Of equals, the first."""
    best, found = LEAST, None
    for other in known:
        alike = likeness(word[:_LONGEST], other[:_LONGEST], best)
        if alike > best or (alike == best and found is None):
            best, found = alike, other
    return found


def likeness(one: str, other: str, least: float = 0.0) -> float:
    """1 for equal words; less by each letter to add, remove or swap with its neighbour.

    0 for words that are less alike than ``least``, which are not compared to their end.
    """
    both = len(one) + len(other)
    if not both:
        return 1.0
    most = both * (1 - least) + 1e-9
    if abs(len(one) - len(other)) > most:
        return 0.0
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before, above, row = row, before, [i]
        for j, its in enumerate(other, 1):
            cost = before[j - 1] if letter == its else 1 + min(before[j], row[j - 1])
            if i > 1 and j > 1 and letter == other[j - 2] and its == one[i - 2]:
                cost = min(cost, above[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return 0.0
    return 1 - row[-1] / both if row[-1] <= most else 0.0
