"""Rules that never decide anything, because others take all of their packets, or no rule calls their chain.

Chains are compared for every packet that there could be, of any connection, so that this holds for answers
and for marked packets, too. What a rule asks of routing tables and the like is a question with an unknown
answer, the same for all rules that ask it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from netlab.exposure.diagrams import Packets, manager
from netlab.model.family import Family
from netlab.predict.evaluate import ACTIONS, DEEPEST, RuleName
from netlab.predict.host import Namespace
from netlab.predict.predictor import Predictor
from netlab.predict.rules import (
    AnyBit,
    CopyMark,
    Depends,
    In,
    Lookup,
    Masked,
    ModelChain,
    ModelRule,
    ModelTable,
    Named,
    Reject,
    ReversePath,
    SetMark,
    Translate,
    Verdict,
    VerdictMap,
)

#: octets of fields, for those that have other than four
_ADDRESSES: Final = ("saddr", "daddr", "ctorigsrc", "ctorigdst", "ctreplsrc", "ctrepldst")
_MARKS: Final = ("mark", "ctmark")
_WIDTH: Final = 48
#: fields that a packet has together or not at all
_TOGETHER: Final = {"sport": "ports", "dport": "ports", "icmptype": "icmp", "icmpcode": "icmp"}


@dataclass(frozen=True, slots=True)
class Unused:
    """A rule that never decides anything: ``by`` are the rules that take its packets.

    Without any, no rule calls its chain.
    """

    rule: RuleName
    by: tuple[RuleName, ...] = ()

    def __str__(self) -> str:
        place = f"{self.rule.family} {self.rule.table} {self.rule.chain} of {self.rule.node}"
        if not self.by:
            return f"{self.rule.text} in {place}: no rule calls the chain"
        more = f" and {len(self.by) - 1} more" if len(self.by) > 1 else ""
        return f"{self.rule.text} in {place}: shadowed by {self.by[0].text}{more}"


def unused_rules(predictor: Predictor) -> list[Unused]:
    """The rules of all hosts that never decide anything."""
    found: list[Unused] = []
    for space in predictor.spaces.values():
        if space.name in predictor.hosts:
            for table in space.tables:
                found += _of_table(space, table)
    return found


def _of_table(space: Namespace, table: ModelTable) -> Iterator[Unused]:
    called = _called(table)
    shadows = _Shadows(space, table)
    for chain in table.chains.values():
        if not chain.hook and chain.name not in called:
            yield from (Unused(shadows.name(chain, number)) for number, _ in enumerate(chain.rules, 1))
        else:
            yield from shadows.of(chain)


def _called(table: ModelTable) -> set[str]:
    """The chains that a base chain, or one that it calls, calls."""
    targets = {
        chain.name: {
            verdict.chain
            for rule in chain.rules
            for step in rule.steps
            for verdict in _verdicts(step)
            if verdict.chain
        }
        for chain in table.chains.values()
    }
    found: set[str] = set()
    rest = [chain.name for chain in table.chains.values() if chain.hook]
    while rest:
        new = targets.get(rest.pop(), set()) - found
        found |= new
        rest += new
    return found


def _verdicts(step: object) -> tuple[Verdict, ...]:
    if isinstance(step, VerdictMap):
        return tuple(verdict for _, verdict in step.elements)
    return (step,) if isinstance(step, Verdict) else ()


class _Shadows:
    """The chains of one table, over all packets of both families."""

    def __init__(self, space: Namespace, table: ModelTable) -> None:
        self._space = space
        self._table = table
        self._bdd = manager(self)
        self._bdd.configure(reordering=False)
        self.none: Packets = self._bdd.false
        self.every: Packets = self._bdd.true
        self._variables: dict[str, Any] = {}
        self._ended: dict[str, Packets] = {}
        self._names: dict[str, dict[str, int]] = {}
        self._marks = any(
            isinstance(step, SetMark | CopyMark)
            for other in space.tables
            for chain in other.chains.values()
            for rule in chain.rules
            for step in rule.steps
        )

    def name(self, chain: ModelChain, number: int) -> RuleName:
        """The name of a rule of the table."""
        text = chain.rules[number - 1].text
        return RuleName(self._space.name, self._table.family, self._table.name, chain.name, number, text)

    def of(self, chain: ModelChain) -> Iterator[Unused]:
        """The rules of a chain whose packets others take."""
        live = self.every
        taken: list[tuple[int, Packets]] = []
        for number, rule in enumerate(chain.rules, 1):
            match, sure = self._match(rule, (chain.name, number))
            if match != self.none and match & live == self.none:
                by = tuple(self.name(chain, earlier) for earlier, some in taken if some & match != self.none)
                yield Unused(self.name(chain, number), by)
                continue
            leaves, _ = self._leaves(rule, 0)
            gone = live & match & leaves if sure else self.none
            if gone != self.none:
                taken.append((number, gone))
                live &= ~gone

    # -- what leaves a chain

    def _leaves(self, rule: ModelRule, depth: int) -> tuple[Packets, Packets]:
        """Of the packets that a rule matches: those that leave its chain, and those that end."""
        leaves = ends = self.none
        for step in rule.steps:
            if isinstance(step, Reject) or (isinstance(step, Translate) and step.family is None):
                return self.every, self.every
            if isinstance(step, Verdict):
                if step.word in ("accept", "drop"):
                    return self.every, self.every
                if step.word == "return":
                    leaves = self.every
                elif step.word in ("jump", "goto"):
                    target = self._table.chains.get(step.chain)
                    ends = self._ends(target, depth) if target is not None else self.none
                    leaves = self.every if step.word == "goto" else ends
        return leaves, ends

    def _ends(self, chain: ModelChain, depth: int) -> Packets:
        """The packets that end in a chain or in one that it calls."""
        if depth >= DEEPEST:
            return self.none
        if chain.name not in self._ended:
            live, ended = self.every, self.none
            for number, rule in enumerate(chain.rules, 1):
                match, sure = self._match(rule, (chain.name, number))
                leaves, ends = self._leaves(rule, depth + 1)
                if sure:
                    ended |= live & match & ends
                    live &= ~(match & leaves)
            self._ended[chain.name] = ended
        return self._ended[chain.name]

    # -- conditions

    def _match(self, rule: ModelRule, place: tuple[str, int]) -> tuple[Packets, bool]:
        """The packets that a rule may match, and whether it matches all of them."""
        found, sure = self.every, True
        for number, step in enumerate(rule.steps):
            if isinstance(step, Depends):
                sure = False
            elif not isinstance(step, ACTIONS):
                found &= self._holds(step, (*place, number))
        return found, sure

    def _holds(self, condition: Any, place: tuple[object, ...]) -> Packets:
        if isinstance(condition, Lookup):
            found = self.none
            for element in condition.elements:
                part = self.every
                for one in element:
                    part &= self._holds(one, place)
                found |= part
            return ~found if condition.negated else found
        if isinstance(condition, Named):
            found = self._interface(condition)
            return ~found if condition.negated else found
        if isinstance(condition, In | Masked | AnyBit):
            if condition.field in _MARKS and self._marks:
                return self._variable(f"{place}")
            found = self._number(condition)
            has = self._variable(f"has {_TOGETHER.get(condition.field, condition.field)}")
            return has & (~found if condition.negated else found)
        if self._marks and isinstance(condition, ReversePath):
            return self._variable(f"{place}")  # a mark that changes in between may change the answer
        found = self._variable(repr(replace(condition, negated=False)))
        return ~found if condition.negated else found

    def _variable(self, name: str) -> Packets:
        if name not in self._variables:
            own = f"v{len(self._variables)}"
            self._bdd.declare(own)
            self._variables[name] = self._bdd.var(own)
        return self._variables[name]

    def _bits(self, field: str) -> list[Packets]:
        """The bits of a field, the least significant one first."""
        width = Family.IPV6.bits if field in _ADDRESSES else _WIDTH
        return [self._variable(f"{field} {bit}") for bit in range(width - 1, -1, -1)][::-1]

    def _number(self, condition: In | Masked | AnyBit) -> Packets:
        bits = self._bits(condition.field)
        if isinstance(condition, AnyBit):
            found = self.none
            for place, bit in enumerate(bits):
                if condition.bits >> place & 1:
                    found |= bit
            return found
        if isinstance(condition, Masked):
            return self._equal(bits, condition.mask, condition.value)
        whole = (1 << len(bits)) - 1
        found = self.none
        for low, high in condition.ranges:
            if low == high:
                found |= self._equal(bits, whole, low)
            else:
                found |= self._at_least(bits, low) & ~self._at_least(bits, high + 1)
        return found

    def _equal(self, bits: list[Packets], mask: int, value: int) -> Packets:
        found = self.every
        for place, bit in enumerate(bits):
            if mask >> place & 1:
                found &= bit if value >> place & 1 else ~bit
        return found if not value & ~mask else self.none

    def _at_least(self, bits: list[Packets], value: int) -> Packets:
        if value >> len(bits):
            return self.none
        found = self.every
        for place, bit in enumerate(bits):
            found = bit & found if value >> place & 1 else bit | found
        return found

    def _interface(self, condition: Named) -> Packets:
        """The packets whose interface has a name: names that rules mention are told apart by number.

        Whether an interface that no rule mentions begins as one says is a question of its own.
        """
        known = self._names.get(condition.field)
        if known is None:
            known = self._names[condition.field] = self._mentioned(condition.field)
        bits = [self._variable(f"{condition.field} {bit}") for bit in range(16)]
        whole = (1 << len(bits)) - 1
        found = self.none
        for name, number in known.items():
            if name == condition.name or (condition.prefix and name and name.startswith(condition.name)):
                found |= self._equal(bits, whole, number)
        if condition.prefix:
            other = self._at_least(bits, len(known))
            found |= other & self._variable(f"{condition.field} begins {condition.name}")
        return found

    def _mentioned(self, field: str) -> dict[str, int]:
        """The names that rules of the table compare a field with, each with a number."""

        def named(condition: object) -> Iterator[str]:
            if isinstance(condition, Named) and condition.field == field and not condition.prefix:
                yield condition.name
            elif isinstance(condition, Lookup):
                for element in condition.elements:
                    for part in element:
                        yield from named(part)

        names = (
            name
            for chain in self._table.chains.values()
            for rule in chain.rules
            for step in rule.steps
            for name in named(step)
        )
        return {name: number for number, name in enumerate(dict.fromkeys(names))}
