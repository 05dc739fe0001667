"""Evaluate rules for one packet at one hook: which match, what they do, and how each base chain ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, NamedTuple

from netlab.model.family import Family
from netlab.model.trace import Step as TraceStep
from netlab.model.trace import TraceKind, VerdictCode
from netlab.predict.connections import Tracked
from netlab.predict.host import Namespace
from netlab.predict.packet import Packet
from netlab.predict.routes import Query
from netlab.predict.rules import (
    ENDING,
    AddressType,
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
    ReversePath,
    SetMark,
    Translate,
    Unknown,
    Untrack,
    Verdict,
    VerdictMap,
)
from netlab.predict.selection import candidates

#: Jumps deeper than this the kernel refuses to load (NFT_JUMP_STACK_SIZE).
DEEPEST: Final = 16


class RuleName(NamedTuple):
    """A rule: its node, the table, the chain, and its number in the chain, from 1."""

    node: str
    family: str
    table: str
    chain: str
    number: int
    text: str


class Undetermined(Exception):
    """What a rule does with this packet depends on more than the packet."""

    def __init__(self, rule: RuleName, what: str, *, effect: bool = False) -> None:
        self.rule = rule
        self.what = what
        #: whether it is the target that is unknown, not whether the rule matches
        self.effect = effect
        super().__init__(f"{rule.text}: depends on {what}")


@dataclass(slots=True)
class Passage:
    """A packet at one hook. ``known`` are the answers that are assumed for undetermined rules."""

    space: Namespace
    hook: str
    packet: Packet
    iif: str | None = None
    oif: str | None = None
    tracked: Tracked | None = None
    physin: str | None = None
    physout: str | None = None
    bridged: bool = False
    mac: int = 0
    hop: int | None = None  #: the next hop, where the packet has a route
    known: Mapping[RuleName, bool] = field(default_factory=dict)
    #: what was found on the way: the rules that matched, and notes
    steps: list[TraceStep] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    untracked: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """How a base chain ended: ``accept``, ``drop`` or ``reject`` (with the answer), or a translation."""

    word: EndWord
    reject: Reject | None = None
    translate: Translate | None = None


# -- fields

Value = int | str | None


def _conntrack(place: str, at: int) -> Callable[[Passage], Value]:
    def read(passage: Passage) -> Value:
        connection = passage.tracked.connection if passage.tracked else None
        return None if connection is None else getattr(connection, place)[at]

    return read


def _icmp(passage: Passage) -> Value:
    packet = passage.packet
    return packet.kind * 256 + packet.code if packet.is_icmp else None


def _status(passage: Passage) -> Value:
    connection = passage.tracked.connection if passage.tracked else None
    return None if connection is None else connection.status


_FIELDS: Mapping[str, Callable[[Passage], Value]] = {
    "saddr": lambda p: p.packet.src,
    "daddr": lambda p: p.packet.dst,
    "sport": lambda p: p.packet.sport if p.packet.has_ports else None,
    "dport": lambda p: p.packet.dport if p.packet.has_ports else None,
    "l4proto": lambda p: p.packet.protocol,
    "nfproto": lambda p: p.packet.family.value,
    "ethertype": lambda p: 0x0800 if p.packet.family is Family.IPV4 else 0x86DD,
    "tcpflags": lambda p: p.packet.flags if p.packet.protocol == 6 else None,
    "icmp": _icmp,
    "icmptype": lambda p: p.packet.kind if p.packet.is_icmp else None,
    "icmpcode": lambda p: p.packet.code if p.packet.is_icmp else None,
    "iifname": lambda p: p.iif or "",
    "oifname": lambda p: p.oif or "",
    "physin": lambda p: p.physin or "",
    "physout": lambda p: p.physout or "",
    "bridged": lambda p: int(p.bridged),
    "mark": lambda p: p.packet.mark,
    "ttl": lambda p: p.packet.ttl,
    "length": lambda p: p.packet.length,
    "dscp": lambda _: 0,
    "pkttype": lambda _: 0,
    "mac": lambda p: p.mac or None,
    "macdst": lambda _: None,
    "ctstate": lambda p: p.tracked.bits if p.tracked else 1,
    "ctxtstate": lambda p: p.tracked.xt_bits if p.tracked else 1,
    "ctstatus": _status,
    "ctmark": lambda p: p.tracked.connection.mark if p.tracked and p.tracked.connection else None,
    "ctdir": lambda p: int(p.tracked.reply) if p.tracked and p.tracked.connection else None,
    "ctproto": _conntrack("original", 0),
    "ctorigsrc": _conntrack("original", 1),
    "ctorigsport": _conntrack("original", 2),
    "ctorigdst": _conntrack("original", 3),
    "ctorigdport": _conntrack("original", 4),
    "ctreplsrc": _conntrack("reply", 1),
    "ctreplsport": _conntrack("reply", 2),
    "ctrepldst": _conntrack("reply", 3),
    "ctrepldport": _conntrack("reply", 4),
}


def value_of(name: str, passage: Passage) -> Value:
    """The value of a field of a packet at its hook; None: it has no such field."""
    return _FIELDS[name](passage)


def _value_at(passage: Passage, name: str) -> Value:
    return _FIELDS[name](passage)


def holds(condition: Condition, passage: Passage) -> bool | None:
    """Whether a condition holds for a packet; None: the packet does not tell."""
    if isinstance(condition, In):
        value = value_of(condition.field, passage)
        if value is None or isinstance(value, str):
            return False
        return any(low <= value <= high for low, high in condition.ranges) != condition.negated
    if isinstance(condition, Named):
        return _named(condition, str(value_of(condition.field, passage))) != condition.negated
    if isinstance(condition, Masked | AnyBit):
        value = value_of(condition.field, passage)
        if value is None or isinstance(value, str):
            return False
        if isinstance(condition, AnyBit):
            return bool(value & condition.bits) != condition.negated
        return (value & condition.mask == condition.value) != condition.negated
    if isinstance(condition, AddressType):
        return _is_type(condition, passage) != condition.negated
    if isinstance(condition, Lookup):
        return _element(condition, passage) != condition.negated
    if isinstance(condition, ReversePath):
        return _comes_back(condition, passage) != condition.negated
    if isinstance(condition, Never):
        return condition.negated
    return None


def _named(condition: Named, name: str) -> bool:
    if condition.prefix:
        return bool(name) and name.startswith(condition.name)
    return name == condition.name


def _element(condition: Lookup, passage: Passage) -> bool:
    return any(all(holds(part, passage) for part in element) for element in condition.elements)


def _is_type(condition: AddressType, passage: Passage) -> bool:
    address = passage.packet.src if condition.side == "src" else passage.packet.dst
    interface = {"in": passage.iif, "out": passage.oif, "": None}[condition.interface]
    return passage.space.routes[passage.packet.family].kind_of(address, interface) in condition.types


def _comes_back(condition: ReversePath, passage: Passage) -> bool:
    """xt_rpfilter and ``fib saddr … oif``: whether the source is reached by the packet's interface."""
    packet, tables = passage.packet, passage.space.routes[passage.packet.family]
    if passage.iif in (None, "lo"):
        return True
    if tables.is_local(packet.src):
        return condition.local
    if packet.family is Family.IPV6 and packet.src >> 118 == 0x3FA:
        return True
    found = tables.lookup(Query(packet.dst, packet.src, mark=packet.mark if condition.mark else 0))
    if found is None or found.kind != "unicast":
        return False
    return condition.loose or found.interface == passage.iif


# -- chains


def run_chain(table: ModelTable, base: ModelChain, passage: Passage) -> Ended:
    """Run a base chain; the rules that match, and the policy, are added to the passage's steps."""
    ended = _run(table, base, passage, 0)
    if ended is not None:
        return ended
    dropped = base.policy == "drop"
    code = VerdictCode.DROP if dropped else VerdictCode.ACCEPT
    passage.steps.append(step_of(table, base, None, code))
    return Ended("drop" if dropped else "accept")


def _run(table: ModelTable, chain: ModelChain, passage: Passage, depth: int) -> Ended | None:
    """Run a chain's rules; None at its end, or after a return."""
    for number, rule in candidates(chain, partial(_value_at, passage)):
        verdict, ended = _rule(table, chain, rule, number, passage)
        if ended is not None:
            return ended
        if verdict is None or verdict.word == "continue":
            continue
        if verdict.word == "return":
            return None
        target = table.chains.get(verdict.chain)
        if target is None or depth >= DEEPEST:
            raise Undetermined(
                _name(passage, table, chain, number, rule), f"chain {verdict.chain}", effect=True
            )
        ended = _run(table, target, passage, depth + 1)
        if ended is not None or verdict.word == "goto":
            return ended
    return None


def _name(passage: Passage, table: ModelTable, chain: ModelChain, number: int, rule: ModelRule) -> RuleName:
    return RuleName(passage.space.name, table.family, table.name, chain.name, number, rule.text)


def _rule(
    table: ModelTable, chain: ModelChain, rule: ModelRule, number: int, passage: Passage
) -> tuple[Verdict | None, Ended | None]:
    """Evaluate one rule: the verdict that moves between chains, or how the base chain ended."""
    unsure: Depends | None = None
    for step in rule.steps:
        if isinstance(step, ACTIONS):
            continue
        found = holds(step, passage)
        if found is False:
            return None, None
        if found is None and isinstance(step, Depends):
            unsure = unsure or step
    name = _name(passage, table, chain, number, rule)
    if unsure is not None:
        if all(isinstance(step, Passive) for step in rule.steps if isinstance(step, ACTIONS)):
            passage.notes.append(f"{rule.text} may match, too: that depends on {unsure.what}")
            return None, None
        if name not in passage.known:
            raise Undetermined(name, unsure.what)
        if not passage.known[name]:
            return None, None
    return _act(table, chain, rule, name, passage)


def _act(
    table: ModelTable, chain: ModelChain, rule: ModelRule, name: RuleName, passage: Passage
) -> tuple[Verdict | None, Ended | None]:
    code, verdict, ended = VerdictCode.CONTINUE, None, None
    for step in rule.steps:
        if isinstance(step, VerdictMap):
            chosen = _chosen(step, passage)
            if chosen is None:
                return None, None  # the lookup fails, so the rule ends here without a trace
            verdict = chosen
            if chosen.word != "continue":
                break  # what follows in the rule is not reached
        elif isinstance(step, Verdict):
            verdict = step
        elif isinstance(step, Reject):
            ended, code = Ended("reject", reject=step), VerdictCode.DROP
        elif isinstance(step, Translate) and step.family not in (None, passage.packet.family):
            continue
        elif isinstance(step, Translate):
            ended, code = Ended("accept", translate=step), VerdictCode.ACCEPT
        elif isinstance(step, Unknown):
            ended = _unknown(step, name, passage)
            code = VerdictCode.DROP if ended else code
        elif isinstance(step, SetMark | CopyMark | Untrack):
            change(step, passage)
    if verdict is not None:
        code = VerdictCode[verdict.word.upper()]
        if verdict.word in ENDING:
            ended = Ended(verdict.word)
    target = verdict.chain if verdict is not None and verdict.chain else None
    passage.steps.append(step_of(table, chain, name.number, code, target))
    return verdict, ended


def _unknown(step: Unknown, name: RuleName, passage: Passage) -> Ended | None:
    """A target that the model does not know: the packet goes on, or it ends here."""
    if name not in passage.known:
        raise Undetermined(name, step.what, effect=True)
    return None if passage.known[name] else Ended("drop")


def _chosen(step: VerdictMap, passage: Passage) -> Verdict | None:
    for element, verdict in step.elements:
        if all(holds(part, passage) for part in element):
            return verdict
    return None


def change(step: SetMark | CopyMark | Untrack, passage: Passage) -> None:
    """Change a mark, or conntrack's part in a packet, as the step says."""
    tracked = passage.tracked
    connection = tracked.connection if tracked is not None else None
    if isinstance(step, Untrack):
        passage.untracked = tracked is None or passage.untracked
    elif isinstance(step, SetMark):
        if step.field == "mark":
            mark = passage.packet.mark & step.keep ^ step.value
            passage.packet = replace(passage.packet, mark=mark & 0xFFFFFFFF)
        elif connection is not None:
            connection.mark = (connection.mark & step.keep ^ step.value) & 0xFFFFFFFF
    elif connection is not None:
        if step.save:
            kept = connection.mark & ~step.connection_mask
            connection.mark = kept ^ (passage.packet.mark & step.packet_mask)
        else:
            kept = passage.packet.mark & ~step.packet_mask
            mark = kept ^ (connection.mark & step.connection_mask)
            passage.packet = replace(passage.packet, mark=mark & 0xFFFFFFFF)


#: the steps of a rule that do something
ACTIONS: Final = (Verdict, VerdictMap, Reject, Translate, SetMark, CopyMark, Untrack, Passive, Unknown)
_STEPS: dict[tuple[str, str, str, int | None, VerdictCode, str | None], TraceStep] = {}


def step_of(
    table: ModelTable, chain: ModelChain, number: int | None, code: VerdictCode, target: str | None = None
) -> TraceStep:
    """The trace's step for a rule (its number is its handle here), or for the policy."""
    place = (table.family, table.name, chain.name, number, code, target)
    found = _STEPS.get(place)
    if found is None:
        kind = TraceKind.POLICY if number is None else TraceKind.RULE
        found = TraceStep(table.family, table.name, chain.name, number, kind, code, target)
        if len(_STEPS) > 1 << 16:
            _STEPS.clear()
        _STEPS[place] = found
    return found
