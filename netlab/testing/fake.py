"""A lab of recorded journeys, without a kernel."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.journey.expect import Verdict, check
from netlab.journey.matrix import Column, matrix, question
from netlab.lab.load import load_scenario
from netlab.lab.options import check as check_options
from netlab.lab.probe_options import PacketOptions
from netlab.lab.questions import Questions, refuse_unmeasured
from netlab.lab.stages import stages
from netlab.model.errors import UsageError
from netlab.model.journey import Journey
from netlab.plan import make

if TYPE_CHECKING:
    from typing import Unpack

    from netlab.lab.options import ScenarioOptions
    from netlab.model.flow import Flow
    from netlab.model.plan import Plan

#: What identifies a recorded journey: origin, target, family and ``via``.
Key = tuple[str, str, str, str | None]


class FakeLab(Questions):
    """A lab of recorded journeys, to test your own helpers without root and without Linux.

    >>> recorded = [journey.to_json() for journey in lab.probe_all("client -> host:80")]
    >>> fake = FakeLab("scenarios/httpd.yaml", journeys=recorded)
    >>> fake.probe("client -> host:80", family=4).outcome
    'ok'

    It plans ``files`` with the same options as :class:`netlab.Lab`, or uses your ``plan``. ``journeys`` are
    the journeys that the lab returns: Journey objects, their JSON objects, or the path of a file with one
    JSON object on each line, as ``netlab probe --json`` prints them. If a flow occurs several times, the last
    one counts.

    ::

        # once, in a real lab: netlab probe --json "client -> host:[80,443]" > journeys.jsonl
        lab = FakeLab("httpd.yaml", journeys="journeys.jsonl")
        assert lab.probe("client -> host:80", family=4).outcome == "ok"

    A flow that was not recorded raises UsageError: a fake lab never guesses. It has no methods that need a
    running lab (``exec``, ``do``, ``rules``, ``explain``, …). Raises ScenarioError, OptionError, TypeError
    for an unknown option, and UsageError if ``journeys`` cannot be read, or if you give both files and a
    plan.
    """

    __test__ = False

    def __init__(
        self,
        *files: str | Path,
        journeys: str | Path | Iterable[Journey | Mapping[str, Any]] = (),
        plan: Plan | None = None,
        **options: Unpack[ScenarioOptions],
    ) -> None:
        check_options(options)
        if plan is not None and (files or options):
            raise UsageError("give either files and options, or a plan")
        self._plan = make(load_scenario(files, **options)) if plan is None else plan
        self._journeys = {_key(journey): journey for journey in _read(journeys)}

    @property
    def plan(self) -> Plan:
        """What the scenario would build.

        >>> lab.plan.node("httpd").kind
        'container'
        """
        return self._plan

    @property
    def name(self) -> str:
        """The plan's name.

        >>> lab.name
        'httpd'
        """
        return self._plan.name

    def verify(self) -> list[Verdict]:
        """Check all expectations of the scenario against the recorded journeys.

        >>> all(verdict.word == "passed" for verdict in lab.verify())
        True

        Raises UsageError if the scenario has events between its expectations, because a journey does not say
        when it was recorded.
        """
        found = stages(self.plan, None)
        claims = [claim for stage in found for claim in stage.claims]
        return [
            Verdict(claim, journey, check(claim.expected, journey, self.plan))
            for claim in claims
            for journey in [self._answer(claim.flow)]
        ]

    def matrix(self) -> Column:
        """Who can reach what, as :meth:`netlab.Lab.matrix` returns it.

        >>> sorted({journey.outcome for _, journey in lab.matrix().answers.values()})
        ['no-route', 'ok', 'refused', 'timeout']

        Raises UsageError unless all flows of the scenario's matrix were recorded, and Unmeasured.
        """
        __tracebackhide__ = True
        answers = {question(cell): (cell, self._answer(cell.flow)) for cell in matrix(self.plan)}
        refuse_unmeasured(journey for _, journey in answers.values())
        return Column("", answers, silent=self.plan.silent, unpublished=self.plan.unpublished)

    def close(self) -> None:
        """Do nothing: a helper that closes its lab works with a fake one, too.

        >>> lab.close()
        """

    def __enter__(self) -> FakeLab:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<netlab.testing.FakeLab {self.name}, {len(self._journeys)} journeys>"

    def _check(self) -> None:
        pass  # always open

    def _measured(self, flows: Sequence[Flow], options: PacketOptions) -> list[Journey]:
        __tracebackhide__ = True
        given = [key for key, value in options.items() if value and key not in ("protocol", "via")]
        if given:
            raise UsageError(f"{given[0]}: a recorded journey does not say how its packets were made")
        journeys = [self._answer(flow) for flow in flows]
        refuse_unmeasured(journeys)
        return journeys

    def _answer(self, flow: Flow) -> Journey:
        if flow.source is not None or flow.source_port is not None:
            raise UsageError(f"{flow}: a recorded journey does not say that its source was chosen")
        found = self._journeys.get((flow.origin, flow.to, flow.family.word, flow.via))
        if found is None:
            raise UsageError(f"{flow} {flow.family.word}: no journey of this flow was recorded")
        return found


def _key(journey: Journey) -> Key:
    asked = journey.flow
    return asked.origin, asked.to, asked.family, asked.via


def _read(journeys: str | Path | Iterable[Journey | Mapping[str, Any]]) -> Iterable[Journey]:
    """Read journeys in any form; raises UsageError, with the line, for anything that is not a journey."""
    if not isinstance(journeys, (str, Path)):
        for number, one in enumerate(journeys, 1):
            yield one if isinstance(one, Journey) else _journey(one, f"journey {number}")
        return
    try:
        text = Path(journeys).read_text()
    except OSError as error:
        raise UsageError(f"cannot read {journeys}: {error.strerror}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield _journey(line, f"{journeys}:{number}")


def _journey(data: str | Mapping[str, Any], where: str) -> Journey:
    try:
        return Journey.from_json(json.loads(data) if isinstance(data, str) else dict(data))
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{where}: not a journey in the JSON of netlab probe --json") from error
