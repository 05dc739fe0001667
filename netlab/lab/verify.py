"""A scenario held against its own claims: up, every expectation measured and checked, down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.journey.expand import Claim, claims
from netlab.journey.expect import Check, check
from netlab.lab.measuring import lent
from netlab.lab.owned import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netlab.lab.client import Client
    from netlab.measure.worker import RemoteSession
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan


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


def verify(plan: Plan, *, tell: Callable[[], None] = lambda: None) -> list[Verdict]:
    """Build the plan, measure every expectation, take it down; ``tell`` is called at each measured flow.

    A plan that expects nothing is not built. Raises UsageError for an expectation that means nothing here,
    LabError and MachineError.
    """
    wanted = claims(plan.expect, plan)
    if not wanted:
        return []
    with Lab(plan=plan) as lab:
        return judge(lab.client, wanted, tell=tell)


def judge(
    client: Client,
    wanted: Iterable[Claim],
    *,
    session: RemoteSession | None = None,
    tell: Callable[[], None] = lambda: None,
) -> list[Verdict]:
    """Measure claims in a lab that stands, in a session of the caller's if there is one."""
    known = list(wanted)

    def told(_number: int, _journey: Journey) -> None:
        tell()

    with lent(client, session) as using:
        journeys = using.measure([claim.flow for claim in known], tell=told)
    return [
        Verdict(claim, journey, check(claim.expected, journey, client.plan))
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
