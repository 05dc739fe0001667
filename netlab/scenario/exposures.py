"""Entries ``exposure`` of ``x-netlab.expect``: what all packets from a place reach together."""

from __future__ import annotations

from typing import Final

from netlab.model.expectation import ExposureExpectation
from netlab.model.flow import FlowPattern
from netlab.model.problem import Position, ScenarioError
from netlab.scenario.flow import parse_flow
from netlab.scenario.tree import Report, Value, made, shown

Exposures = tuple[tuple[ExposureExpectation, Value], ...]
#: where packets enter, unless somebody says otherwise: by the hosts' interfaces on outside segments
OUTSIDE: Final = "outside"
EXPECTED: Final = "expected a node or an address, with ports and a protocol: host:80/tcp"
_ORIGIN: Final = f"{OUTSIDE} -> "


def parse_reached(text: str, position: Position) -> FlowPattern:
    """A target such as ``host:80/tcp``, whose first character is at ``position``; raises ScenarioError."""
    before = Position(position.file, position.line, position.column - len(_ORIGIN))
    return parse_flow(_ORIGIN + text, before)


def is_reached(pattern: FlowPattern) -> bool:
    """Whether a pattern says no more than an exposure knows: an address or a node, a protocol, and ports."""
    return pattern.target.name not in ("localhost", "gateway") and not (
        pattern.via or pattern.source or pattern.source_port or pattern.size or pattern.target.network
    )


def read_exposures(value: Value | None, report: Report) -> Exposures:
    """Every entry with its value in the file.

    One that follows an event is a problem: what events change is not in the plan.
    """
    found = []
    event: Value | None = None
    for item in value or ():
        event = event or item.get("event")
        written = item.get("exposure")
        if written is None:
            continue
        if event is not None:
            report.add(
                item.at,
                "exposure: it must stand before the first event, because a plan does not know all that an "
                f"event changes ({event.position.line} is the line of the first)",
            )
        found.append((_read(written, report), item))
    return tuple(found)


def _read(written: Value, report: Report) -> ExposureExpectation:
    targets = tuple(written.get("reaches") or ())
    origin, nothing_else = written.get("from"), written.get("nothing-else")
    patterns = []
    for target in targets:
        try:
            pattern = parse_reached(target.text, Position(*(target.inner or target.at)))
        except ScenarioError as error:
            report.problems.extend(error.problems)
            continue
        if is_reached(pattern):
            patterns.append(pattern)
        else:
            report.add(target.at, f"exposure: {shown(target.text)}: {EXPECTED}")
    closed = nothing_else is not None and nothing_else.flag
    if not targets and not closed:
        report.add(written.at, "exposure: nothing is expected: add reaches, or nothing-else: true")
    return ExposureExpectation(
        (origin or made(OUTSIDE, written.at)).text,
        tuple(patterns),
        closed,
        written.position,
    )
