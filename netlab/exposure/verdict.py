"""An exposure that a scenario expects, against what the plan says and what the kernel proves."""

from __future__ import annotations

from dataclasses import dataclass

from netlab.exposure.expect import Offence, offences
from netlab.exposure.exposure import Exposure
from netlab.exposure.proof import Proof
from netlab.journey.expect import VerdictWord
from netlab.model.errors import UsageError
from netlab.model.expectation import ExposureExpectation
from netlab.model.plan import Plan
from netlab.model.problem import Problem, ScenarioError


@dataclass(frozen=True, slots=True)
class ExposureVerdict:
    """What was expected of all packets of a place, and what is otherwise.

    ``offences`` are known from the plan; ``proof`` is the kernel's word, None for a prediction.
    """

    expectation: ExposureExpectation
    offences: tuple[Offence, ...]
    proof: Proof | None = None

    @property
    def word(self) -> VerdictWord:
        """``passed``, ``failed``, or ``unmeasured`` if it is not known.

        >>> verdict.word
        'passed'
        """
        if any(one.sure for one in self.offences) or (self.proof is not None and self.proof.wrong):
            return "failed"
        if self.offences or (self.proof is not None and self.proof.unmeasured):
            return "unmeasured"
        return "passed"

    @property
    def problems(self) -> tuple[str, ...]:
        """What is otherwise, a sentence each: in the plan, and in the kernel."""
        found = [str(one) for one in self.offences]
        if self.proof is not None:
            found += [
                f"the kernel disagrees with the plan: {one.witness.flow} {one.witness.flow.family.word}: "
                f"{one.problem}"
                for one in self.proof.wrong
            ]
            found += [f"unmeasured: {one.flow} {one.flow.family.word}" for one in self.proof.unmeasured]
        return tuple(found)

    @property
    def measured(self) -> str:
        """``as expected, 67 packets agree``; what is otherwise, in a few words."""
        if self.word != "passed":
            first, *others = self.problems
            return f"{first}{f' and {len(others)} more' if others else ''}"
        return "as expected" if self.proof is None else f"as expected, {self.proof.tried} packets agree"


def judged(plan: Plan, expectation: ExposureExpectation) -> tuple[ExposureVerdict, Exposure]:
    """Compare a plan's exposure with what is expected, without a proof; the exposure, too.

    Raises ScenarioError if the expectation names a place that there is not.
    """
    try:
        exposure = Exposure.of(plan, expectation.origin)
        wrong = offences(exposure, expectation.reaches, nothing_else=expectation.nothing_else)
    except ScenarioError:
        raise
    except UsageError as error:
        raise ScenarioError([Problem(expectation.position, str(error))]) from None
    return ExposureVerdict(expectation, tuple(wrong)), exposure
