"""A lab that is predicted instead of built: the same questions, answered from the plan alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.journey.expand import claims
from netlab.journey.expect import Verdict, check
from netlab.journey.matrix import Column, matrix, question, replicas
from netlab.lab.load import load_plan
from netlab.lab.questions import Questions
from netlab.model.errors import UsageError
from netlab.plan import make
from netlab.plan.diff import applicable
from netlab.predict.predictor import Predictor, unpredicted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Unpack

    from netlab.journey.expand import Claim
    from netlab.journey.matrix import Selection
    from netlab.lab.options import Path, ScenarioOptions
    from netlab.lab.probe_options import PacketOptions
    from netlab.model.flow import Flow
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario

#: the options for packets that no socket sends
_BY_HAND = ("syn", "flags", "payload", "hops", "fragment")


class Prediction(Questions):
    """What becomes of flows, from a scenario alone: no root, no kernel, no lab.

    >>> prediction = netlab.Prediction("scenarios/httpd.yaml", engine="docker-28")
    >>> journey = prediction.probe("client -> host:80", family=4)
    >>> journey.how, journey.outcome, journey.path, journey.decided_by.chain
    ('predicted', 'ok', 'forward', 'DOCKER')

    ``files`` and ``options`` are those of :func:`netlab.load_plan`; or give a ``plan``. A flow that depends
    on more than its first packet has the outcome ``unpredicted``, and a journey in ``continuations`` for each
    possibility. Raises UsageError for a plan together with files, and what load_plan raises.
    """

    def __init__(self, *files: Path, plan: Plan | None = None, **options: Unpack[ScenarioOptions]) -> None:
        if plan is not None and (files or options):
            raise UsageError("a plan is predicted as it is: give no files and options with it")
        self._plan = load_plan(files, **options) if plan is None else plan
        self._predictor = Predictor.of(self._plan)

    @property
    def plan(self) -> Plan:
        """The plan, which says what the names in a flow mean.

        >>> netlab.Prediction("scenarios/httpd.yaml").plan.name
        'httpd'
        """
        return self._plan

    def matrix(self, selection: Selection | None = None) -> Column:
        """Who can reach what, as :meth:`netlab.Lab.matrix` measures it.

        >>> column = netlab.Prediction("scenarios/httpd.yaml").matrix()
        >>> sum(journey.outcome == "ok" for _, journey in column.answers.values()) > 20
        True
        """
        cells = matrix(self.plan, selection)
        answers = {question(cell): (cell, self._predictor.journey(cell.flow)) for cell in cells}
        folded = () if selection is None or selection.every_replica else tuple(replicas(self.plan))
        return Column(
            "", answers, replicas=folded, silent=self.plan.silent, unpublished=self.plan.unpublished
        )

    def verify(self) -> list[Verdict]:
        """Check what the scenario expects; raises UsageError as ``Lab.verify`` does.

        >>> [verdict.word for verdict in netlab.Prediction("scenarios/httpd.yaml").verify()][:2]
        ['passed', 'passed']

        What is expected after an event depends on what the lab remembers, so its journey is ``unpredicted``.
        """
        return [self._judged(claim) for claim in claims(self.plan.expect, self.plan)]

    def _judged(self, claim: Claim) -> Verdict:
        if claim.expectation.after:
            words = f"what a lab remembers after {claim.expectation.after_words} is not in the plan"
            journey = unpredicted(claim.flow, words)
        else:
            journey = self._predictor.journey(claim.flow)
        return Verdict(claim, journey, check(claim.expected, journey, self.plan))

    def _check(self) -> None:
        """There is nothing that could be closed."""

    def _measured(self, flows: Sequence[Flow], options: PacketOptions) -> list[Journey]:
        said = [name for name in _BY_HAND if options.get(name)]
        if said:
            raise UsageError(f"a prediction does not know packets made by hand: {', '.join(said)}")
        return self._predictor.journeys(flows)


def predicted_column(label: str, plan: Plan, selection: Selection | None = None) -> Column:
    """The matrix of a plan, predicted, without those of the typed rules that its chains cannot take."""
    return replace(Prediction(plan=applicable(plan)).matrix(selection), label=label)


def predicted_variant(label: str, read: Callable[[], Scenario], selection: Selection | None = None) -> Column:
    """The same of the variant that ``read`` gives; if it refuses something, that is its result."""
    try:
        plan = make(read())
    except UsageError as error:
        return Column(label, {}, str(error))
    return predicted_column(label, plan, selection)
