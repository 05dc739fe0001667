"""Rules that never decide anything, because others take all of their packets, or no rule calls their chain.

Chains are compared for every packet that there could be, of any connection, so that this holds for answers
and for marked packets, too. What a rule asks of routing tables and the like is a question with an unknown
answer, the same for all rules that ask it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
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
_WIDTHS: Final = dict.fromkeys(("sport", "dport", "iifname", "oifname", "physin", "physout"), 16) | {
    "l4proto": 8
}
_WIDTH: Final = 48
#: nodes of a set of packets from which on nobody looks whether other rules take them
_LARGE: Final = 20_000
#: of more rules nobody looks at once whether they take a packet
_FEW: Final = 16
#: steps that are no conditions, or those of which only chance knows
_NOT_ASKED: Final = (*ACTIONS, Depends)
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
        #: name in the diagrams → the field that it is about, or the first word of another question
        self.tags: dict[str, str] = {}
        #: (width of addresses, condition) → its packets
        self.numbers: dict[tuple[int, In | Masked | AnyBit], Packets] = {}
        #: (field, its width) → its bits
        self.fields: dict[tuple[str, int], list[Packets]] = {}
        #: (field, first bit, mask, value) → the packets with such an octet
        self._octets: dict[tuple[str, int, int, int], Packets] = {}

    def masked(self, field: str, bits: list[Packets], mask: int, value: int) -> Packets:
        """The packets with ``field & mask == value``, put together from octets, which many rules share."""
        if value & ~mask or value >> len(bits):
            return self.none
        found = self.every
        for first in range(0, len(bits), 8):
            some = mask >> first & 0xFF
            if some:
                found = self._octet(field, bits, first, some, value >> first & 0xFF) & found
        return found

    def _octet(self, field: str, bits: list[Packets], first: int, mask: int, value: int) -> Packets:
        key = field, first, mask, value
        found = self._octets.get(key)
        if found is None:
            found = self.every
            for place, bit in enumerate(bits[first : first + 8]):
                if mask >> place & 1:
                    found = (bit if value >> place & 1 else ~bit) & found
            self._octets[key] = found
        return found

    def variable(self, name: str) -> Packets:
        """The packets for which a question has the answer yes."""
        if name not in self._variables:
            own = f"v{len(self._variables)}"
            self.tags[own] = name.removeprefix("has ") if name.startswith("has ") else name.partition(" ")[0]
            self._bdd.declare(own)
            self._variables[name] = self._bdd.var(own)
        return self._variables[name]


class _Gone:
    """The packets that do not come past the rules of a chain, found out when somebody asks."""

    def __init__(self, shadows: _Shadows, chain: ModelChain) -> None:
        self._shadows = shadows
        self._chain = chain
        self._by: dict[int, Packets] = {}
        self._together: dict[int, Packets] = {}
        #: the fields that rules ask for; ``*``: they take everything
        self._asked: dict[int, frozenset[str]] = {}

    def by(self, number: int) -> Packets:
        """Those that one rule takes; its number counts from 0."""
        if number not in self._by:
            self._by[number] = self._shadows.taken_by(self._chain, number)
        return self._by[number]

    def together(self, rules: int) -> Packets:
        """Those that some rules take, which are a set of :mod:`netlab.exposure.overlap`."""
        found = self._together.get(rules)
        if found is None:
            found = self._shadows.none
            for number in numbers(rules):
                found |= self.by(number)
            self._together[rules] = found
        return found

    def leaves_some(self, rules: int, fields: Iterable[str]) -> bool:
        """Whether some rules leave packets with any value of these fields, because they ask for others only.

        Where it says no, nobody knows.
        """
        if not rules:
            return True
        if rules.bit_count() > _FEW:
            return False
        asked = self._asked.get(rules)
        if asked is None:
            found = self.together(rules)
            asked = frozenset("*") if found == self._shadows.every else self._shadows.fields_of(found)
            self._asked[rules] = asked
        return "*" not in asked and all(
            field not in asked and _TOGETHER.get(field, field) not in asked for field in fields
        )


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
        ranges = [self._ranges(rule) for rule in chain.rules]
        overlaps = Overlaps([one for one, _ in ranges], self._widest)
        taken = 0
        gone = _Gone(self, chain)
        for number, rule in enumerate(chain.rules):
            earlier = overlaps.of(number) & taken
            few, values = overlaps.apart(number, earlier)
            own, exact = ranges[number]
            if not (exact and gone.leaves_some(few, {*own, *values})):
                match, _ = self._match(rule, (chain.name, number + 1))
                if match == self.none:
                    continue
                if earlier and not self._left(match, gone, few, values):
                    by = self._taken(match, gone, earlier)
                    if by is not None:
                        others = tuple(self.name(chain, one + 1) for one in by)
                        yield Unused(self.name(chain, number + 1), others)
                        continue
            if not any(isinstance(step, Depends) for step in rule.steps) and (
                self._leaves(rule, 0)[0] != self.none
            ):
                taken |= 1 << number

    def _left(self, match: Packets, gone: _Gone, few: int, values: Mapping[str, int]) -> bool:
        """Whether some packets of a rule are left by others, because those with these values are.

        ``few`` are the rules that could take packets with these values. Where it says no, nobody knows.
        """
        if few.bit_count() > _FEW:
            return False
        for field, value in values.items():
            match &= self._known.masked(field, self._bits(field), self._widest(field), value)
        return bool(match & ~gone.together(few) != self.none)

    def _widest(self, field: str) -> int:
        """The largest value that a field could have."""
        return (1 << self._bits_of(field)) - 1

    def _bits_of(self, field: str) -> int:
        return self._width if field in _ADDRESSES else _WIDTHS.get(field, _WIDTH)

    def _taken(self, match: Packets, gone: _Gone, earlier: int) -> list[int] | None:
        """The rules that together take all packets of a rule; None if some are left, or it takes too long."""
        by = []
        for number in numbers(earlier):
            size = match.dag_size
            self._work -= size
            if size > _LARGE or self._work < 0:
                return None
            left = match & ~gone.by(number)
            if left == match:
                continue
            by.append(number)
            match = left
            if match == self.none:
                return by
        return None

    def _ranges(self, rule: ModelRule) -> tuple[dict[str, tuple[int, int]], bool]:
        """The ranges outside of which a rule matches nothing, of fields that nothing changes in between.

        And whether it can match all packets that are inside and have these fields.
        """
        found: dict[str, tuple[int, int]] = {}
        exact = True
        for step in rule.steps:
            if isinstance(step, In) and not step.negated and step.ranges and step.field not in _MARKS:
                exact = exact and len(step.ranges) == 1 and step.field not in found
                found[step.field] = step.ranges[0][0], step.ranges[-1][1]
            elif isinstance(step, Named) and not (step.negated or step.prefix):
                exact = exact and step.field not in found
                found[step.field] = (self._numbers(step.field)[step.name],) * 2
            elif not isinstance(step, _NOT_ASKED):
                exact = False
        return found, exact

    def fields_of(self, packets: Packets) -> frozenset[str]:
        """The fields that tell whether a packet is one of these; and other questions, in words."""
        return frozenset(self._known.tags[name] for name in packets.support)

    def taken_by(self, chain: ModelChain, number: int) -> Packets:
        """The packets that do not come past a rule; its number counts from 0."""
        rule = chain.rules[number]
        return self._match(rule, (chain.name, number + 1))[0] & self._leaves(rule, 0)[0]

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
        width = self._bits_of(field)
        found = self._known.fields.get((field, width))
        if found is None:
            bits = [self._variable(f"{field} {bit}") for bit in range(width - 1, -1, -1)][::-1]
            found = self._known.fields[field, width] = bits
        return found

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
            return self._known.masked(condition.field, bits, condition.mask, condition.value)
        whole = (1 << len(bits)) - 1
        found = self.none
        for low, high in condition.ranges:
            if low == high:
                found |= self._known.masked(condition.field, bits, whole, low)
            else:
                found |= self._at_least(bits, low) & ~self._at_least(bits, high + 1)
        return found

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
        known = self._numbers(condition.field)
        bits = self._bits(condition.field)
        whole = (1 << len(bits)) - 1
        found = self.none
        for name, number in known.items():
            if name == condition.name or (condition.prefix and name and name.startswith(condition.name)):
                found |= self._known.masked(condition.field, bits, whole, number)
        if condition.prefix:
            other = self._at_least(bits, len(known))
            found |= other & self._variable(f"{condition.field} begins {condition.name}")
        return found

    def _numbers(self, field: str) -> dict[str, int]:
        """What :meth:`_mentioned` says, which is the same for all rules."""
        if field not in self._names:
            self._names[field] = self._mentioned(field)
        return self._names[field]

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
