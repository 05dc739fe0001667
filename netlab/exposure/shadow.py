"""Rules that never decide anything, because others take all of their packets, or no rule calls their chain.

Chains are compared for every packet that there could be, of any connection, so that this holds for answers
and for marked packets, too. What a rule asks of routing tables and the like is a question with an unknown
answer, the same for all rules that ask it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from netlab.exposure.diagrams import Packets, manager
from netlab.exposure.overlap import Overlaps, numbers
from netlab.model.family import Family
from netlab.predict.evaluate import ACTIONS, DEEPEST, RuleName
from netlab.predict.host import Namespace
from netlab.predict.predictor import Predictor
from netlab.predict.rules import (
    ENDING,
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
_WIDTHS: Final = {"sport": 16, "dport": 16, "l4proto": 8}
_WIDTH: Final = 48
#: nodes of a set of packets from which on nobody looks whether other rules take them
_LARGE: Final = 20_000
#: nodes that are looked at for one table
_WORK: Final = 20_000_000
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
            bits = _Bits()
            for table in space.tables:
                found += _of_table(space, table, bits)
    return found


def _of_table(space: Namespace, table: ModelTable, bits: _Bits) -> Iterator[Unused]:
    called = _called(table)
    shadows = _Shadows(space, table, bits)
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


class _Bits:
    """The variables of one namespace's rules, by name, and what is known of their conditions."""

    def __init__(self) -> None:
        self._bdd = manager(self)
        self._bdd.configure(reordering=False)
        self.none: Packets = self._bdd.false
        self.every: Packets = self._bdd.true
        self._variables: dict[str, Any] = {}
        #: (width of addresses, condition) → its packets
        self.numbers: dict[tuple[int, In | Masked | AnyBit], Packets] = {}

    def variable(self, name: str) -> Packets:
        """The packets for which a question has the answer yes."""
        if name not in self._variables:
            own = f"v{len(self._variables)}"
            self._bdd.declare(own)
            self._variables[name] = self._bdd.var(own)
        return self._variables[name]


class _Shadows:
    """The chains of one table, over all packets of both families."""

    def __init__(self, space: Namespace, table: ModelTable, bits: _Bits) -> None:
        self._space = space
        self._table = table
        self._place = f"{table.family} {table.name}"
        self._known = bits
        self._variable = bits.variable
        self.none: Packets = bits.none
        self.every: Packets = bits.every
        self._width = Family.IPV4.bits if table.family == "ip" else Family.IPV6.bits
        self._work = _WORK
        self._matches: dict[tuple[str, int], tuple[Packets, bool]] = {}
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
        overlaps = Overlaps([self._ranges(rule) for rule in chain.rules])
        taken = 0
        gone: dict[int, Packets] = {}
        for number, rule in enumerate(chain.rules):
            match, sure = self._match(rule, (chain.name, number + 1))
            if match == self.none:
                continue
            by = self._taken(match, gone, overlaps.of(number) & taken)
            if by is not None:
                yield Unused(self.name(chain, number + 1), tuple(self.name(chain, one + 1) for one in by))
                continue
            leaves, _ = self._leaves(rule, 0)
            if sure and leaves != self.none:
                gone[number] = match & leaves
                taken |= 1 << number

    def _taken(self, match: Packets, gone: Mapping[int, Packets], earlier: int) -> list[int] | None:
        """The rules that together take all packets of a rule; None if some are left, or it takes too long."""
        by = []
        for number in numbers(earlier):
            size = match.dag_size
            self._work -= size
            if size > _LARGE or self._work < 0:
                return None
            left = match & ~gone[number]
            if left == match:
                continue
            by.append(number)
            match = left
            if match == self.none:
                return by
        return None

    def _ranges(self, rule: ModelRule) -> dict[str, tuple[int, int]]:
        """The ranges outside of which a rule matches nothing, of fields that nothing changes in between."""
        found = {}
        for step in rule.steps:
            if isinstance(step, In) and not step.negated and step.ranges and step.field not in _MARKS:
                found[step.field] = step.ranges[0][0], step.ranges[-1][1]
            elif isinstance(step, Named) and not (step.negated or step.prefix):
                known = self._names.setdefault(step.field, self._mentioned(step.field))
                found[step.field] = (known[step.name],) * 2
        return found

    # -- what leaves a chain

    def _leaves(self, rule: ModelRule, depth: int) -> tuple[Packets, Packets]:
        """Of the packets that a rule matches: those that leave its chain, and those that end."""
        leaves = ends = self.none
        for step in rule.steps:
            if isinstance(step, Reject) or (isinstance(step, Translate) and step.family is None):
                return self.every, self.every
            if isinstance(step, Verdict):
                if step.word in ENDING:
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
                if live.dag_size > _LARGE:  # what ends here is not known, so that nothing counts as taken
                    ended = self.none
                    break
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
        known = self._matches.get(place)
        if known is not None:
            return known
        found, sure = self.every, True
        for number, step in enumerate(rule.steps):
            if isinstance(step, Depends):
                sure = False
            elif not isinstance(step, ACTIONS):
                found &= self._holds(step, (*place, number))
        self._matches[place] = found, sure
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
                return self._variable(f"{self._place} {place}")
            found = self._number(condition)
            has = self._variable(f"has {_TOGETHER.get(condition.field, condition.field)}")
            return has & (~found if condition.negated else found)
        if self._marks and isinstance(condition, ReversePath):
            return self._variable(
                f"{self._place} {place}"
            )  # a mark that changes in between may change the answer
        found = self._variable(repr(replace(condition, negated=False)))
        return ~found if condition.negated else found

    def _bits(self, field: str) -> list[Packets]:
        """The bits of a field, the least significant one first."""
        width = self._width if field in _ADDRESSES else _WIDTHS.get(field, _WIDTH)
        return [self._variable(f"{field} {bit}") for bit in range(width - 1, -1, -1)][::-1]

    def _number(self, condition: In | Masked | AnyBit) -> Packets:
        key = self._width, condition
        found = self._known.numbers.get(key)
        if found is None:
            found = self._known.numbers[key] = self._found(condition)
        return found

    def _found(self, condition: In | Masked | AnyBit) -> Packets:
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
