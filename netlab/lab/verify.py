"""A scenario held against its own claims: up, every expectation measured and checked, down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.journey.expand import Claim
from netlab.journey.expect import Check, check
from netlab.lab.owned import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlab.measure.worker import RemoteSession
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim, the journey that was measured for it, and how they compare."""

    claim: Claim
    journey: Journey
    check: Check

    @property
    def word(self) -> str:
        """``passed``, ``failed`` or ``unmeasured``."""
        return {True: "passed", False: "failed", None: "unmeasured"}[self.check.passed]


def verify(plan: Plan, scenario: Scenario, *, tell: Callable[[], None] = lambda: None) -> list[Verdict]:
    """Build the plan of a scenario, measure what is expected, with the events in between, take it down.

    ``tell`` is called at each measured flow. A plan that expects nothing is not built. Raises UsageError for
    an expectation that means nothing here, LabError and MachineError.
    """
    from netlab.lab.stages import stages
    from netlab.plan.change import History

    if not plan.expect:
        return []
    stages(plan, History.of(scenario))  # what is wrong with them is said before anything is built
    with Lab(plan=plan, scenario=scenario) as lab:
        return lab.verify(tell=tell)


def judge(
    session: RemoteSession,
    claims: Iterable[Claim],
    plan: Plan,
    *,
    tell: Callable[[], None] = lambda: None,
) -> list[Verdict]:
    """Measure claims in a lab that stands as ``plan`` says."""
    known = list(claims)

    def told(_number: int, _journey: Journey) -> None:
        tell()

    journeys = session.measure([claim.flow for claim in known], tell=told)
    return [
        Verdict(claim, journey, check(claim.expected, journey, plan))
        for claim, journey in zip(known, journeys, strict=True)
    ]


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """1 if any failed, else 3 if any is unmeasured, else 5 if none ran, else 0."""
    words = {verdict.word for verdict in verdicts}
    if "failed" in words:
        return 1
    if "unmeasured" in words:
        return 3
    return 0 if words else 5
