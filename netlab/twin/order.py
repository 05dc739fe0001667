"""Whether the order of two rules matters, and which rules of an engine stand in a wrong one.

A daemon that restarts writes its networks in any order. So two rules of different bridges may stand either
way, and only those that no packet can match both, or that say the same, may always.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Sequence

from netlab.scenario.rule_files import words_of

_OPTIONS = ("-i", "-o", "-s", "-d", "-p", "--dport", "--dst-type")


def inverted(expected: Sequence[str], found: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(rule that is too late, rule that stands before it): pairs of an engine's rules in a wrong order."""
    places: dict[str, int] = {}
    for number, rule in enumerate(found):
        places.setdefault(rule, number)
    there = [rule for rule in dict.fromkeys(expected) if rule in places]
    for number, first in enumerate(there):
        for second in there[number + 1 :]:
            if places[second] < places[first] and matters(first, second):
                yield first, second


def with_rules(expected: Sequence[str], found: Sequence[str], lost: Sequence[str]) -> tuple[str, ...]:
    """A chain with an engine's rules that it lost, each behind that which the engine has before it."""
    result = list(found)
    wanted = Counter(lost)
    at = 0
    for number, rule in enumerate(expected):
        if wanted[rule]:
            wanted[rule] -= 1
            if at == 0:  # nothing of the engine's stands before it: in front of what comes next
                at = next((result.index(after) for after in expected[number:] if after in result), 0)
            result.insert(at, rule)
            at += 1
        elif rule in result:
            at = result.index(rule) + 1
    return tuple(result)


def with_the_order(expected: Sequence[str], found: Sequence[str]) -> tuple[str, ...]:
    """A chain in which an engine's rules take each other's places, so that they stand as it wrote them."""
    there = Counter(found) & Counter(expected)
    waiting = [rule for rule in expected if _taken(there, rule)]
    own = Counter(waiting)
    return tuple(waiting.pop(0) if _taken(own, rule) else rule for rule in found)


def _taken(counts: Counter[str], rule: str) -> bool:
    if counts[rule] <= 0:
        return False
    counts[rule] -= 1
    return True


def matters(one: str, other: str) -> bool:
    """Whether a packet could match both rules, which do different things with it."""
    first, second = _matches(one), _matches(other)
    if first.get("-j") == second.get("-j"):
        return False
    ours, theirs = _bridges(first), _bridges(second)
    if ours and theirs and ours != theirs:
        return False
    return not any(_apart(option, first.get(option), second.get(option)) for option in _OPTIONS)


def _matches(rule: str) -> dict[str, str]:
    """The options of a rule with their values; a negated one has ``! `` in front."""
    found: dict[str, str] = {}
    words = [word for word, _ in words_of(rule)]
    negated = ""
    for word, value in zip(words, [*words[1:], ""], strict=True):
        if word == "!":
            negated = "! "
        elif word.startswith("-"):
            found[word] = negated + value
            negated = ""
    return found


def _bridges(matches: dict[str, str]) -> set[str]:
    return {matches[option].removeprefix("! ") for option in ("-i", "-o") if option in matches}


def _apart(option: str, one: str | None, other: str | None) -> bool:
    """Whether no packet fits both values."""
    if one is None or other is None:
        return False
    if one.startswith("! ") != other.startswith("! "):
        return one.removeprefix("! ") == other.removeprefix("! ")
    if one.startswith("! "):
        return False
    if option in ("-s", "-d"):
        try:
            return not ipaddress.ip_network(one).overlaps(ipaddress.ip_network(other))
        except (ValueError, TypeError):
            return False
    return one != other
