"""Group a scenario's flows by the events that come before them.

::

    expect:
      - flow: client:40000 -> host:53/udp     stage 1: the lab as it was built
      - event: restart dns
      - flow: client:40000 -> host:53/udp     stage 2: names mean what they mean by then
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from netlab.journey.check_claims import check_claims
from netlab.journey.expand import Claim, claims
from netlab.journey.expect import Verdict, check
from netlab.journey.resolve import Resolver
from netlab.model.errors import UsageError
from netlab.model.near import nearest
from netlab.model.problem import Problem, ScenarioError
from netlab.plan import make
from netlab.plan.change import Change, History, happen
from netlab.plan.commands import commands_of
from netlab.scenario.events import is_command

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator

    from netlab.measure.worker import RemoteSession
    from netlab.model.event import HostCommand
    from netlab.model.expectation import ScenarioEvent
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Stage:
    """Events that happen one after the other, and the flows that are measured after them."""

    events: tuple[ScenarioEvent, ...]
    claims: tuple[Claim, ...]


def stages(plan: Plan, history: History | None) -> tuple[Stage, ...]:
    """All expectations of a scenario, for a lab with this ``plan`` and ``history``.

    The plan's own events come first, and are in no stage: they happen as soon as the lab is up. Raises
    ScenarioError for an expectation without meaning, an event that the engine refuses, and any event of the
    engine if the history is unknown (None).
    """
    found = []
    done = 0
    changed = {node.namespace for node in plan.nodes if any(rule.argv[0] == "ip" for rule in node.commands)}
    first = plan.events
    for after, group in groupby(plan.expect, key=lambda expectation: expectation.after):
        events, done = after[done:], len(after)
        for event in (*first, *events):
            if is_command(event):
                changed |= _commanded(history, event, plan, changed)
                continue
            change = _happen(history, event)
            history, plan = change.history, change.plan
        first = ()
        of_stage = tuple(claims(group, plan))
        check_claims(of_stage, plan, changed)
        found.append(Stage(events, of_stage))
    return tuple(found)


def planned(scenario: Scenario) -> Plan:
    """The plan of a scenario, if its flows and the events between them mean something in it.

    Raises ScenarioError.
    """
    plan = make(scenario)
    stages(plan, History.of(scenario))
    return plan


def _happen(history: History | None, event: ScenarioEvent) -> Change:
    """What an event of the engine changes in the plan."""
    if history is None:
        what = "the lab was built from a plan alone, so its engine cannot be changed"
        raise ScenarioError([Problem(event.position, what)])
    with _at(event):
        return happen(history, event)


def _commanded(
    history: History | None, event: ScenarioEvent, plan: Plan, changed: Container[str]
) -> set[str]:
    """Check a command, whose effect is unknown; the node whose interfaces it may have changed."""
    if history is None:
        return set()
    with _at(event):
        commands = commands_of(history.scenario, event, plan.networks)
        if event.words[1] == "link":
            _check_link(commands[0], plan, changed)
    return {Resolver(plan).node(one.node).namespace for one in commands if one.argv[0] == "ip"}


def _check_link(command: HostCommand, plan: Plan, changed: Container[str]) -> None:
    """Raise UsageError if ``up link`` or ``down link`` names no interface of the node."""
    node = Resolver(plan).node(command.node)
    name = command.argv[4]
    own = [one.name for other in plan.nodes if other.namespace == node.namespace for one in other.interfaces]
    if name not in (*own, "lo") and node.namespace not in changed:
        near = nearest(name, own)
        more = f" (did you mean {near}?)" if near else f"; it has {', '.join(own) or 'none'}"
        raise UsageError(f"event: {command.node} has no interface {name!r}{more}")


@contextmanager
def _at(event: ScenarioEvent) -> Iterator[None]:
    """Put a UsageError at the event's place."""
    try:
        yield
    except ScenarioError:
        raise
    except UsageError as error:
        raise ScenarioError([Problem(event.position, str(error))]) from None


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
