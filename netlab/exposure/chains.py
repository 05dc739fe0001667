"""Evaluate a chain for sets of packets: which of them end in it, how, and by which rules.

The rules and the meaning of their conditions are those of :mod:`netlab.predict`. Here each rule takes its
part of the packets that reach it, so that a chain is run once for all packets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from netlab.exposure.bits import Bits
from netlab.exposure.diagrams import Packets
from netlab.exposure.explore import Explorer
from netlab.model.trace import VerdictCode
from netlab.predict.evaluate import (
    ACTIONS,
    DEEPEST,
    Ended,
    Passage,
    RuleName,
    Undetermined,
    change,
    holds,
    step_of,
    value_of,
)
from netlab.predict.exchange import NotPredicted
from netlab.predict.rules import (
    ENDING,
    AnyBit,
    Condition,
    CopyMark,
    Depends,
    EndWord,
    In,
    Lookup,
    Masked,
    ModelChain,
    ModelRule,
    ModelTable,
    Named,
    Never,
    Passive,
    Reject,
    SetMark,
    Translate,
    Unknown,
    Untrack,
    Verdict,
    VerdictMap,
)
from netlab.predict.selection import candidates


@dataclass(frozen=True, slots=True)
class Changes:
    """What rules have changed of a packet so far, besides its addresses."""

    mark: int
    connection_mark: int
    untracked: bool


#: what the undetermined rules are, where a chain ends by one
Doubt = tuple[RuleName, str, bool]


@dataclass(slots=True)
class End:
    """One way in which packets leave a base chain. ``by`` has the rules, or policy, that ended each of them.

    The number of a policy is 0.
    """

    ended: Ended | None
    doubt: Doubt | None
    changes: Changes
    packets: Packets = None
    #: ``packets`` before they are joined
    parts: list[Packets] = field(default_factory=list)
    by: list[tuple[RuleName, Packets]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Said:
    """What a base chain said of a packet: ``by`` has its rules, each with the packets that it decided."""

    hook: str
    type: str
    priority: int
    word: EndWord
    by: tuple[tuple[RuleName, Packets], ...]


#: the nodes of sets of packets that may be on their way in a chain, looked at after so many rules
_MOST_NODES, _LOOK = 60_000, 16
#: for every so many nodes, one look is left out
_NOT_COUNTED = 8192
#: steps that are no conditions of the packet
_NOT_ASKED = (*ACTIONS, Depends)
Live = dict[Changes, Packets]


class SetChains:
    """Runs chains for the packets that an explorer is about."""

    def __init__(self, explorer: Explorer) -> None:
        self._explorer = explorer
        self._diagrams = explorer.diagrams
        self._about: dict[tuple[object, ...], Packets] = {}
        #: keeps the conditions alive whose identity is a key of the above
        self._kept: list[Condition] = []
        self._too_large: set[tuple[str, str]] = set()
        #: how often sets are not counted before they are counted again
        self._looks_left = 0
        #: by the identity of a rule, which is kept alive
        self._conditions: dict[int, tuple[ModelRule, tuple[Condition, ...]]] = {}
        #: what the chains on this way have said
        self.said: list[Said] = []

    def run(self, table: ModelTable, base: ModelChain, passage: Passage) -> Ended:
        """Run a base chain, as :func:`netlab.predict.evaluate.run_chain` does for one packet."""
        end: End = self._explorer.choose(
            lambda region: [(end, end.packets) for end in self._ends(table, base, passage, region)]
        )
        self._apply(end.changes, passage)
        if end.doubt is not None:
            name, what, effect = end.doubt
            raise Undetermined(name, what, effect=effect)
        assert end.ended is not None
        last, _ = end.by[-1]
        passage.steps.append(
            step_of(table, table.chains[last.chain], last.number or None, VerdictCode.ACCEPT)
        )
        self.said.append(Said(passage.hook, base.type, base.priority, end.ended.word, tuple(end.by)))
        return end.ended

    @staticmethod
    def _apply(changes: Changes, passage: Passage) -> None:
        if passage.packet.mark != changes.mark:
            passage.packet = replace(passage.packet, mark=changes.mark)
        passage.untracked = changes.untracked
        if passage.tracked is not None and passage.tracked.connection is not None:
            passage.tracked.connection.mark = changes.connection_mark

    # -- a base chain

    def _ends(self, table: ModelTable, base: ModelChain, passage: Passage, region: Packets) -> list[End]:
        connection = passage.tracked.connection if passage.tracked is not None else None
        before = Changes(
            passage.packet.mark, connection.mark if connection is not None else 0, passage.untracked
        )
        ends: dict[object, End] = {}
        rest = self._chain(table, base, passage, {before: region}, ends, 0)
        policy = Ended("drop" if base.policy == "drop" else "accept")
        name = RuleName(passage.space.name, table.family, table.name, base.name, 0, "")
        for changes, packets in rest.items():
            self._end(ends, policy, changes, packets, name)
        self._apply(before, passage)
        for end in ends.values():
            end.packets = self._diagrams.union(end.parts)
        return list(ends.values())

    def _end(
        self, ends: dict[object, End], ended: Ended, changes: Changes, packets: Packets, name: RuleName
    ) -> None:
        """Packets leave the base chain. Those to which NAT does different things stay apart."""
        # A rule whose NAT depends on chance is named where it does.
        alone = ended.translate is not None and ended.translate.by_chance
        key = (ended.word, ended.reject, ended.translate, changes, name if alone else None)
        end = ends.get(key)
        if end is None:
            end = ends[key] = End(ended, None, changes)
        end.parts.append(packets)
        end.by.append((name, packets))

    def _doubt(self, ends: dict[object, End], doubt: Doubt, changes: Changes, packets: Packets) -> None:
        ends.setdefault((doubt, changes), End(None, doubt, changes)).parts.append(packets)

    def _chain(
        self,
        table: ModelTable,
        chain: ModelChain,
        passage: Passage,
        live: Live,
        ends: dict[object, End],
        depth: int,
    ) -> Live:
        """Run a chain's rules; what comes to its end, or returns."""
        back: Live = {}
        for number, rule in candidates(chain, lambda field: value_of(field, passage)):
            if not live:
                break
            if number % _LOOK == 0:
                self._bounded(chain, passage, live)
            name = RuleName(passage.space.name, table.family, table.name, chain.name, number, rule.text)
            after: Live = {}
            for changes, packets in live.items():
                self._apply(changes, passage)
                hit = self._matches(rule, passage, packets)
                self._add(after, changes, packets & ~hit)
                if hit == self._diagrams.none:
                    continue
                doubt = self._unsure(rule, name, passage)
                if doubt is False:
                    self._add(after, changes, hit)
                    continue
                if isinstance(doubt, tuple):
                    self._doubt(ends, doubt, changes, hit)
                    continue
                for verdict, ended, part in self._act(rule, name, passage, hit, after, ends):
                    now = self._changes(passage)
                    if ended is not None:
                        self._end(ends, ended, now, part, name)
                    elif verdict is None or verdict.word == "continue":
                        self._add(after, now, part)
                    elif verdict.word == "return":
                        self._add(back, now, part)
                    else:
                        self._jump(table, verdict, name, passage, part, (after, back), ends, depth)
            live = after
        for changes, packets in live.items():
            self._add(back, changes, packets)
        return back

    def _bounded(self, chain: ModelChain, passage: Passage, live: Live) -> None:
        """Raise NotPredicted if the rules of a chain divide packets into too many parts."""
        place = passage.space.name, chain.name
        if self._looks_left:
            self._looks_left -= 1
        elif place not in self._too_large:
            size = sum(packets.dag_size for packets in live.values())
            # Counting takes as long as a set is large, and one that is large does not grow as fast.
            self._looks_left = size // _NOT_COUNTED
            if size > _MOST_NODES:
                self._too_large.add(place)
        if place in self._too_large:
            raise NotPredicted(
                f"the {len(chain.rules)} rules of {chain.name} of {passage.space.name} divide packets into "
                "more parts than netlab keeps apart; ask about fewer packets (--to)"
            )

    def _jump(
        self,
        table: ModelTable,
        verdict: Verdict,
        name: RuleName,
        passage: Passage,
        packets: Packets,
        onward: tuple[Live, Live],
        ends: dict[object, End],
        depth: int,
    ) -> None:
        after, back = onward
        target = table.chains.get(verdict.chain)
        now = self._changes(passage)
        if target is None or depth >= DEEPEST:
            self._doubt(ends, (name, f"chain {verdict.chain}", True), now, packets)
            return
        returned = self._chain(table, target, passage, {now: packets}, ends, depth + 1)
        for changes, some in returned.items():
            self._add(back if verdict.word == "goto" else after, changes, some)

    def _add(self, live: Live, changes: Changes, packets: Packets) -> None:
        if packets != self._diagrams.none:
            live[changes] = live[changes] | packets if changes in live else packets

    @staticmethod
    def _changes(passage: Passage) -> Changes:
        connection = passage.tracked.connection if passage.tracked is not None else None
        return Changes(
            passage.packet.mark, connection.mark if connection is not None else 0, passage.untracked
        )

    # -- a rule

    def _unsure(self, rule: ModelRule, name: RuleName, passage: Passage) -> Doubt | bool:
        """Whether a rule, whose other conditions hold, matches; or what it depends on."""
        unsure = next((step.what for step in rule.steps if isinstance(step, Depends)), None)
        if unsure is None and any(_asks_mac(step, passage) for step in rule.steps):
            unsure = "the sender's MAC address"
        if unsure is None:
            return True
        if all(isinstance(step, Passive) for step in rule.steps if isinstance(step, ACTIONS)):
            return False
        return passage.known.get(name, (name, unsure, False))

    def _act(
        self,
        rule: ModelRule,
        name: RuleName,
        passage: Passage,
        packets: Packets,
        after: Live,
        ends: dict[object, End],
    ) -> Iterator[tuple[Verdict | None, Ended | None, Packets]]:
        """What a rule does with the packets that it matches: (verdict, how they end, which packets)."""
        parts: list[tuple[Verdict | None, Packets]] = [(None, packets)]
        ended: Ended | None = None
        for step in rule.steps:
            if isinstance(step, VerdictMap):
                parts, missed = self._mapped(step, passage, packets)
                self._add(after, self._changes(passage), missed)
            elif isinstance(step, Verdict):
                parts = [(step if _goes_on(verdict) else verdict, part) for verdict, part in parts]
            elif isinstance(step, Reject):
                ended = Ended("reject", reject=step)
            elif isinstance(step, Translate):
                if step.family in (None, passage.packet.family):
                    ended = Ended("accept", translate=step)
            elif isinstance(step, Unknown):
                if name not in passage.known:
                    self._doubt(ends, (name, step.what, True), self._changes(passage), packets)
                    return
                ended = None if passage.known[name] else Ended("drop")
            elif isinstance(step, SetMark | CopyMark | Untrack):
                change(step, passage)
        now = self._changes(passage)
        for verdict, part in parts:
            self._apply(now, passage)
            if verdict is not None and verdict.word in ENDING:
                yield verdict, Ended(verdict.word), part
            else:
                yield verdict, ended, part

    def _mapped(
        self, step: VerdictMap, passage: Passage, packets: Packets
    ) -> tuple[list[tuple[Verdict | None, Packets]], Packets]:
        """The packets of each verdict of a map, and those of which it says nothing."""
        found: dict[Verdict, Packets] = {}
        for element, verdict in step.elements:
            hit = packets
            for part in element:
                hit &= self._holds(part, passage)
            if hit != self._diagrams.none:
                found[verdict] = found[verdict] | hit if verdict in found else hit
                packets &= ~hit
        return list(found.items()), packets

    # -- conditions

    def _matches(self, rule: ModelRule, passage: Passage, packets: Packets) -> Packets:
        """Those of the packets for which each condition holds that can be known."""
        for step in self._conditions_of(rule):
            if _asks_mac(step, passage):
                continue
            packets &= self._holds(step, passage)
            if packets == self._diagrams.none:
                return packets
        return packets

    def _conditions_of(self, rule: ModelRule) -> tuple[Condition, ...]:
        """The steps of a rule that a packet answers."""
        found = self._conditions.get(id(rule))
        if found is None:
            steps = (step for step in rule.steps if not isinstance(step, _NOT_ASKED))
            found = self._conditions[id(rule)] = rule, tuple(steps)
        return found[1]

    def _holds(self, condition: Condition, passage: Passage) -> Packets:
        diagrams = self._diagrams
        if isinstance(condition, Lookup):
            found = diagrams.union(self._element(element, passage) for element in condition.elements)
            return ~found if condition.negated else found
        if isinstance(condition, Named | Never):
            return diagrams.every if holds(condition, passage) else diagrams.none
        if isinstance(condition, In | Masked | AnyBit):
            value = value_of(condition.field, passage)
            if not isinstance(value, Bits):
                return diagrams.every if holds(condition, passage) else diagrams.none
            key: tuple[object, ...] = id(condition), value.bits
        else:
            packet = passage.packet
            ends = tuple(one.bits if isinstance(one, Bits) else one for one in (packet.src, packet.dst))
            key = id(condition), passage.space.name, ends, passage.iif, passage.oif, packet.mark
        known = self._about.get(key)
        if known is None:
            known = self._found(condition, passage)
            self._about[key] = known
            self._kept.append(condition)
        return known

    def _found(self, condition: Condition, passage: Passage) -> Packets:
        diagrams = self._diagrams
        if isinstance(condition, In | Masked | AnyBit):
            value = value_of(condition.field, passage)
            assert isinstance(value, Bits)
            if isinstance(condition, In):
                found = diagrams.within(value.bits, condition.ranges)
            elif isinstance(condition, Masked):
                found = diagrams.masked(value.bits, condition.mask, condition.value)
            else:
                found = ~diagrams.masked(value.bits, condition.bits, 0)
            return ~found if condition.negated else found
        ways = self._explorer.all(lambda: holds(condition, passage), diagrams.every)
        return diagrams.union(packets for packets, answer in ways if answer)

    def _element(self, element: tuple[Named | In, ...], passage: Passage) -> Packets:
        found = self._diagrams.every
        for part in element:
            found &= self._holds(part, passage)
        return found


def _goes_on(verdict: Verdict | None) -> bool:
    """Whether a rule goes on after a verdict that a map gave."""
    return verdict is None or verdict.word == "continue"


def _asks_mac(step: object, passage: Passage) -> bool:
    """Whether a condition is about the MAC address of a packet that somebody outside sent."""
    return (
        isinstance(step, In) and step.field == "mac" and not passage.mac and passage.iif not in (None, "lo")
    )
