"""The rules of a chain that a packet can match, found by the value of one field instead of one by one."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from netlab.predict.rules import In, ModelChain, ModelRule, Named, Numbered, Selection

#: shorter chains are looked through rule by rule
_SHORT: Final = 8
#: more values than these of one condition are not told apart
_MOST_VALUES: Final = 16
#: fields that nothing changes while a packet is in a chain, and whose conditions name single values
_FIELDS: Final = ("daddr", "dport", "saddr", "sport", "oifname", "iifname")


def candidates(chain: ModelChain, value_of: Callable[[str], object]) -> Iterable[Numbered]:
    """The rules that can match a packet, in order; ``value_of`` gives the value of a field.

    What is neither a number nor a text is not known, and tells no rules apart.
    """
    selection = chain.selection
    if selection is None or selection.length != len(chain.rules):
        selection = chain.selection = _made(chain)
    best: tuple[list[Numbered], list[Numbered]] = selection.every, []
    length = selection.length
    for name, (found, others) in selection.fields.items():
        value = value_of(name)
        if value is None or isinstance(value, int | str):
            own = found.get(value, []) if value is not None else []
            if len(own) + len(others) < length:
                best, length = (own, others), len(own) + len(others)
    own, others = best
    return heapq.merge(own, others, key=_number) if own and others else own or others


def _made(chain: ModelChain) -> Selection:
    made = Selection(len(chain.rules), list(enumerate(chain.rules, 1)))
    if made.length > _SHORT:
        named = Counter(name for rule in chain.rules for name in _FIELDS if _values(rule, name) is not None)
        for name, count in named.items():
            if count > _SHORT:
                made.fields[name] = _by_value(made.every, name)
    return made


def _by_value(rules: Iterable[Numbered], name: str) -> tuple[dict[int | str, list[Numbered]], list[Numbered]]:
    others: list[Numbered] = []
    found: dict[int | str, list[Numbered]] = {}
    for one in rules:
        values = _values(one[1], name)
        if values is None:
            others.append(one)
        for value in values or ():
            found.setdefault(value, []).append(one)
    return found, others


def _number(one: Numbered) -> int:
    return one[0]


def _values(rule: ModelRule, name: str) -> Sequence[int | str] | None:
    """The values of a field that a rule can match; None: any, or too many."""
    for step in rule.steps:
        if isinstance(step, In) and step.field == name and not step.negated:
            if sum(high - low + 1 for low, high in step.ranges) <= _MOST_VALUES:
                return [value for low, high in step.ranges for value in range(low, high + 1)]
        elif isinstance(step, Named) and step.field == name and not (step.negated or step.prefix):
            return [step.name]
    return None
