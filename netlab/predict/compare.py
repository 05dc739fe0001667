"""The first point at which a prediction and a measurement of one flow differ."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from netlab.model.flow import Flow
from netlab.model.journey import DecidedBy, HookVisit, Journey, Leg, Packet, RuleHit
from netlab.model.rules import with_sorted_sets

#: a port that Linux chooses for a socket that names none (ip_local_port_range)
_EPHEMERAL: Final = re.compile(r":(32[89]\d\d|327[7-9]\d|3276[89]|3[3-9]\d{3}|[45]\d{4}|60\d{3})$")
#: what a rule says that logs while few packets come, and then no longer
_BY_CHANCE: Final = re.compile(r"-m limit|\blimit rate\b")

#: a set of one value, of which nft 1.0 makes the value
_ONE_MEMBER: Final = re.compile(r"(?<!vmap )(?<!map )\{ ([^{},.:]*(?:[.:][^ {},]+)*) \}")

#: what kernels say of a packet that the routing table turns away for its source: since Linux 6.13 the second
_TURNED_AWAY: Final = ("Invalid cross-device link", "Invalid argument")


@dataclass(frozen=True, slots=True)
class Difference:
    """The first difference: where it is, and what each side has there."""

    place: str
    predicted: str
    measured: str

    def __str__(self) -> str:
        return f"{self.place}: predicted {self.predicted}, measured {self.measured}"


def first_difference(predicted: Journey, measured: Journey) -> Difference | None:
    """The first difference between two journeys of one flow; None if they agree.

    What is left to chance does not count: the port of a proxy's own connection, rules that log at a limited
    rate, how often a bridge showed a packet. Nor do reasons, which both have from the plan. Where the
    instrument could not tell what decided, the prediction may know it.
    """
    known = measured.decided_by.kind != "unmeasured"
    for place, mine, its in _compared(predicted, measured, known=known):
        if mine != its:
            return Difference(place, _shown(mine), _shown(its))
    return None


def _compared(predicted: Journey, measured: Journey, *, known: bool) -> Iterator[tuple[str, object, object]]:
    yield from _legs("", predicted.legs, measured.legs)
    if known:
        any_port = any(leg.by for leg in measured.legs)
        yield from _legs("the answer, ", predicted.replies, measured.replies, any_port=any_port)
    both = (_once(predicted.switched), _once(measured.switched))
    for number, (here, there) in enumerate(zip_longest(*both), 1):
        yield f"bridge, {number}", here, there
    for name in ("outcome", "path", "answered_by", "sees", "icmp", "errno", "probe"):
        yield name.replace("_", " "), getattr(predicted, name), getattr(measured, name)
    if known:
        loose = any(leg.by for leg in measured.legs)
        mine, its = (_decided(one.decided_by, loose=loose) for one in (predicted, measured))
        yield "decided by", mine, its
    yield "addresses", predicted.flow, measured.flow


def _decided(decision: DecidedBy, *, loose: bool) -> DecidedBy:
    """The decision in the words of every kernel."""
    rule = _rule_text(decision.rule)
    packet = decision.packet and _ends(decision.packet, loose=loose)
    if decision.kind == "route" and rule is not None:
        rule = rule.replace(*_TURNED_AWAY)
    return replace(decision, reason=None, rule=rule, packet=packet)


def _legs(
    lead: str, mine: Sequence[Leg], its: Sequence[Leg], *, any_port: bool = False
) -> Iterator[tuple[str, object, object]]:
    for one, other in zip_longest(mine, its):
        if one is None or other is None:
            yield f"{lead}leg", one and one.node, other and other.node
            continue
        yield f"{lead}leg", (one.node, one.by), (other.node, other.by)
        loose = any_port or bool(other.by)
        for here, there in zip_longest(one.hooks, other.hooks):
            yield from _hook(f"{lead}{other.node}", here, there, loose=loose)
        yield f"{lead}{other.node}, NAT", _nat(one, loose=loose), _nat(other, loose=loose)


def _hook(
    node: str, mine: HookVisit | None, its: HookVisit | None, *, loose: bool
) -> Iterator[tuple[str, object, object]]:
    place = f"{node}, {(its or mine or _NO_VISIT).hook}"
    if mine is None or its is None:
        yield place, mine and mine.hook, its and its.hook
        return
    yield place, mine.hook, its.hook
    yield f"{place}, interfaces", (mine.iif, mine.oif), (its.iif, its.oif)
    yield f"{place}, packet", _ends(mine.packet, loose=loose), _ends(its.packet, loose=loose)
    for number, (rule, other) in enumerate(zip_longest(_rules(mine), _rules(its)), 1):
        yield f"{place}, rule {number}", rule, other


_NO_VISIT: Final = HookVisit("", None, None, Packet("", ""))


def _rules(visit: HookVisit) -> list[RuleHit]:
    return [
        replace(hit, reason=None, rule=_rule_text(hit.rule))
        for hit in visit.rules
        if not _BY_CHANCE.search(hit.rule or "")
    ]


def _rule_text(text: str | None) -> str | None:
    """A rule with the members of its sets sorted: nft lists them in its own order, and one member alone."""
    return text and _ONE_MEMBER.sub(r"\1", with_sorted_sets(text))


def _ends(packet: Packet, *, loose: bool) -> Packet:
    if not loose:
        return packet
    return Packet(_EPHEMERAL.sub("", packet.src), _EPHEMERAL.sub("", packet.dst))


def _nat(leg: Leg, *, loose: bool) -> tuple[str | None, ...]:
    found = (leg.nat.dnat, leg.nat.snat)
    return tuple(_EPHEMERAL.sub("", one) if one and loose else one for one in found)


def _once(visits: Iterable[HookVisit]) -> list[HookVisit]:
    """A bridge's visits without repetitions, which retransmissions make."""
    return list(dict.fromkeys(replace(visit, rules=tuple(_rules(visit))) for visit in visits))


def _shown(value: object) -> str:
    """One side of a difference, as a person reads it."""
    if value is None:
        return "nothing"
    if isinstance(value, RuleHit):
        return f"{value.family} {value.table} {value.chain} {value.rule or ''}: {value.verdict}".replace(
            " :", ":"
        )
    if isinstance(value, tuple):
        return " ".join(str(part) for part in value if part) or "nothing"
    if isinstance(value, Packet):
        return f"{value.src} → {value.dst}"
    return str(value)


def asked(flow: Flow, measured: Journey) -> Flow:
    """The flow with the source port with which it was measured, which is chosen at random."""
    source = measured.flow.src
    if source is None or flow.protocol == "icmp":
        return flow
    return replace(flow, source_port=int(source.rpartition(":")[2]))
