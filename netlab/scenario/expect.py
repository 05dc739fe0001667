"""``x-netlab.expect`` → :class:`Expectation`: flows, and what happens between them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import fields, replace
from typing import cast

from netlab.model.errors import UsageError
from netlab.model.expectation import Expectation, Expected, ScenarioEvent
from netlab.model.expectation_words import parse_words
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import FlowPattern
from netlab.model.outcome import OutcomeName, PathName
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.scenario.events import made_by, parse_event
from netlab.scenario.flow import parse_flow
from netlab.scenario.tree import Report, Value, made, shown

_ENDPOINT = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?")


Expectations = tuple[tuple[Expectation, Value], ...]
Happenings = tuple[tuple[ScenarioEvent, Value], ...]


def read_expectations(
    value: Value | None, chains: frozenset[str], report: Report
) -> tuple[Expectations, Happenings]:
    """All flows, and all events between them, each with its value in the file.

    ``chains``: the administrator's chains, to which commands may jump.
    """
    flows: list[tuple[Expectation, Value]] = []
    events: list[tuple[ScenarioEvent, Value]] = []
    idle: Value | None = None
    for item in value or ():
        written = item.get("event")
        if item.get("exposure") is not None:
            continue
        if written is None:
            after = tuple(event for event, _ in events)
            expectation = _expectation(item, after, report)
            flows += [(expectation, item)] if expectation is not None else []
            idle = None
            continue
        idle = written
        try:
            event = parse_event(written.text, written.position, chains)
            chains |= made_by(event)
            events.append((event, written))
        except ScenarioError as error:
            report.problems.extend(error.problems)
    if idle is not None:
        report.add(idle.at, f"event: no flow follows {shown(idle.text)}, so it has no effect on any result")
    return tuple(flows), tuple(events)


def _expectation(item: Value, after: tuple[ScenarioEvent, ...], report: Report) -> Expectation | None:
    written = item.get("flow")
    if written is None:
        return None
    try:
        pattern = parse_flow(written.text, Position(*(written.inner or written.at)))
    except ScenarioError as error:
        if written.inner is None:
            report.problems.extend(Problem(written.position, problem.message) for problem in error.problems)
        else:
            report.problems.extend(error.problems)
        return None
    sides = _sides(item, pattern, report)
    return Expectation(pattern, sides, item.position, after)


def _sides(item: Value, pattern: FlowPattern, report: Report) -> tuple[tuple[Family, Expected], ...]:
    both = _expected(item.get("both"), None, report)
    found: dict[Family, Expected] = {}
    for family in FAMILIES:
        own = _expected(item.get(family.word), family, report)
        if own is not None and pattern.family not in (None, family):
            report.add(
                item.key_at(family.word), f"the target {pattern.target} is not an {_word(family)} address"
            )
        elif pattern.family in (None, family) and (own or both):
            found[family] = _over(both, own)
    if item.get("both") is not None and pattern.family is not None:
        report.add(
            item.key_at("both"), f"the target {pattern.target} is of one family: write {pattern.family.word}"
        )
    if not any(item.get(key) is not None for key in ("ipv4", "ipv6", "both")):
        report.add(item.at, "the flow has no expectation: add ipv4, ipv6 or both")
    return tuple(found.items())


def _word(family: Family) -> str:
    return "IPv4" if family is Family.IPV4 else "IPv6"


def _over(both: Expected | None, own: Expected | None) -> Expected:
    """What one family says, over what both say."""
    if both is None or own is None:
        return own or both or Expected()
    said = {name: getattr(own, name) for name in Expected.__slots__ if getattr(own, name) is not None}
    return replace(both, **said)


def _expected(value: Value | None, family: Family | None, report: Report) -> Expected | None:
    if value is None:
        return None
    if isinstance(value.data, str):
        value = _in_words(value, report)
    words = {key: entry.text for key, entry in value.pairs()}
    sees, dnat = value.get("sees"), value.get("dnat")
    if sees is not None and family is not None:
        _same_family(sees, "sees", sees.text, family, report)
    if dnat is not None and dnat.text != "none":
        _endpoint(dnat, family, report)
    if words.get("outcome", "ok") != "ok" and sees is not None:
        report.add(sees.at, f"with the outcome {words['outcome']} no server sees a source address")
    return Expected(
        outcome=cast(OutcomeName | None, words.get("outcome")),
        path=cast(PathName | None, words.get("path")),
        sees=_canonical(words.get("sees")),
        by=words.get("by"),
        not_by=words.get("not-by"),
        dnat=words.get("dnat"),
    )


def _in_words(value: Value, report: Report) -> Value:
    """``ok forward, sees client`` as the mapping that says the same."""
    try:
        found = parse_words(value.text)
    except UsageError as error:
        report.add(value.at, str(error))
        return Value({}, value.at)
    named = {field.name.replace("_", "-"): getattr(found, field.name) for field in fields(found)}
    return made({key: word for key, word in named.items() if word is not None}, value.at)


def _canonical(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


def _same_family(value: Value, what: str, text: str, family: Family, report: Report) -> None:
    """The proxy may serve a published IPv6 port over IPv4, but never an IPv4 port over IPv6."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return
    if family is Family.IPV4 and found.version == 6:
        report.add(value.at, f"{what}: {found} cannot be seen of an IPv4 flow")


def _endpoint(value: Value, family: Family | None, report: Report) -> None:
    match = _ENDPOINT.fullmatch(value.text)
    try:
        if not match or (match["port"] and not 1 <= int(match["port"]) <= 65535):
            raise ValueError
        found = ipaddress.ip_address(match["six"] if match["six"] is not None else match["four"])
    except ValueError:
        report.add(value.at, f'dnat: {shown(value.text)} is neither "none" nor an endpoint (192.0.2.1:80)')
        return
    if family is not None and found.version != family:
        report.add(value.at, f"dnat: {value.text} is not an {_word(family)} endpoint")
