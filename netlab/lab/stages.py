"""Group a scenario's flows by the events that come before them.

::

    expect:
      - flow: client:40000 -> host:53/udp     stage 1: the lab as it was built
      - event: restart dns
      - flow: client:40000 -> host:53/udp     stage 2: names mean what they mean by then
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from netlab.journey.expand import Claim, claims
from netlab.journey.expect import Verdict, check
from netlab.model.errors import UsageError
from netlab.plan.change import happen
from netlab.scenario.events import is_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlab.measure.worker import RemoteSession
    from netlab.model.expectation import ScenarioEvent
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.plan.change import Change, History


@dataclass(frozen=True, slots=True)
class Stage:
    """Events that happen one after the other, and the flows that are measured after them."""

    events: tuple[ScenarioEvent, ...]
    claims: tuple[Claim, ...]


def stages(plan: Plan, history: History | None) -> tuple[Stage, ...]:
    """All expectations of a scenario, for a lab with this ``plan`` and ``history``.

    Raises UsageError for an expectation without meaning, an event that the engine refuses, and any event if
    the history is unknown (None).
    """
    found = []
    done = 0
    for after, group in groupby(plan.expect, key=lambda expectation: expectation.after):
        events, done = after[done:], len(after)
        for event in events:
            change = _happen(history, event)
            if change is not None:
                history, plan = change.history, change.plan
        found.append(Stage(events, tuple(claims(group, plan))))
    return tuple(found)


def _happen(history: History | None, event: ScenarioEvent) -> Change | None:
    """What an event changes in the plan; None for a command, whose effect is unknown."""
    if is_command(event):
        return None
    if history is None:
        raise UsageError(
            f"{event.position}: the lab was built from a plan alone, so its engine cannot be changed"
        )
    try:
        return happen(history, event)
    except UsageError as error:
        raise UsageError(f"{event.position}: {error}") from None


def judge(
    session: RemoteSession,
    claims: Iterable[Claim],
    plan: Plan,
    *,
    tell: Callable[[], None] = lambda: None,
) -> list[Verdict]:
    """Measure claims in a running lab with this ``plan``."""
    known = list(claims)

    def each(_number: int, _journey: Journey) -> None:
        tell()

    journeys = session.measure([claim.flow for claim in known], tell=each)
    return [
        Verdict(claim, journey, check(claim.expected, journey, plan))
        for claim, journey in zip(known, journeys, strict=True)
    ]
