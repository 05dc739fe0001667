"""Measure flows and check expectations: what a real lab and a fake one have in common."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from netlab.exposure.expect import offences
from netlab.exposure.exposure import Exposure
from netlab.exposure.verdict import judged
from netlab.journey.expect import Verdict, check, check_sees
from netlab.journey.expect_words import ExpectationFailed, claims_of
from netlab.journey.expect_words import expected as made
from netlab.lab.probe_options import flows as flows_of
from netlab.model.errors import Unmeasured, UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.flow import Flow
from netlab.model.problem import Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Unpack

    from netlab.exposure.expect import Offence
    from netlab.exposure.verdict import ExposureVerdict
    from netlab.journey.expect_words import ExpectedWords
    from netlab.lab.probe_options import PacketOptions
    from netlab.model.expectation import Expected
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan


class ExposureFailed(AssertionError):
    """An exposure is not as expected. ``offences`` says what is otherwise, each with a packet that shows it.

    >>> try:
    ...     lab.exposure("outside", "host", family=4, reaches=["host:81/tcp"])
    ... except netlab.ExposureFailed as error:
    ...     print(error)
    host:81/tcp is not reached by any packet from ext0 of host
    """

    def __init__(self, exposure: Exposure, found: Sequence[Offence]) -> None:
        self.exposure = exposure
        self.offences = tuple(found)
        super().__init__("\n".join(map(str, found)))


class Questions(ABC):
    """The methods that a real lab and a fake one share: :meth:`probe`, :meth:`probe_all`, :meth:`expect`."""

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """The plan of the lab, which says what the names in a flow mean.

        >>> lab.plan.name
        'httpd'
        """

    @abstractmethod
    def _check(self) -> None:
        """Raise LabError if the lab is closed."""

    @abstractmethod
    def _measured(self, flows: Sequence[Flow], options: PacketOptions) -> list[Journey]:
        """The journey of each flow, in order; raises Unmeasured."""

    def probe(self, flow: str | Flow, family: int | None = None, **options: Unpack[PacketOptions]) -> Journey:
        """Measure one flow, and return its journey.

        >>> journey = lab.probe("client -> host:80", family=6)
        >>> journey.outcome, journey.path
        ('ok', 'proxy')

        ``family`` is 4 or 6. ``options``: see :class:`~netlab.lab.probe_options.PacketOptions`. Raises
        Unmeasured, NoNodeError, ScenarioError if ``flow`` has a syntax error, and UsageError if it means
        several flows (a target with addresses of both families and no ``family``, a glob, a range of ports).
        """
        __tracebackhide__ = True
        journeys = self._measured(self._flows(flow, family, options, alone=True), options)
        return journeys[0]

    def probe_all(
        self,
        flows: str | Flow | Iterable[str | Flow],
        family: int | None = None,
        **options: Unpack[PacketOptions],
    ) -> list[Journey]:
        """Measure every flow that ``flows`` means, and return their journeys in order.

        >>> [journey.path for journey in lab.probe_all("client -> host:[80,443]", family=6)]
        ['proxy', 'proxy']

        Arguments and errors are those of :meth:`probe`; without ``family``, both families are measured.
        """
        __tracebackhide__ = True
        asked = [flows] if isinstance(flows, str | Flow) else list(flows)
        found = [one for flow in asked for one in self._flows(flow, family, options)]
        return self._measured(found, options)

    def expect(
        self,
        flow: str | Flow,
        expected: str | Mapping[str, str] | Expected | None = None,
        *,
        ipv4: str | Mapping[str, str] | Expected | None = None,
        ipv6: str | Mapping[str, str] | Expected | None = None,
        **words: Unpack[ExpectedWords],
    ) -> list[Journey]:
        """Measure a flow, and raise ExpectationFailed (an AssertionError) unless the result is as expected.

        >>> journeys = lab.expect("client -> host:80", "ok", ipv4="forward, sees client", ipv6="proxy")
        >>> [journey.outcome for journey in journeys]
        ['ok', 'ok']

        ``ipv4`` and ``ipv6`` apply to one family; ``expected`` and ``words`` (``sees="client"``) to every
        family that is measured: those that you give, or else all in which the target has an address. See
        :func:`~netlab.journey.expect_words.expected` for the words. Other errors are those of :meth:`probe`;
        UsageError also if you expect nothing.
        """
        __tracebackhide__ = True
        caller = sys._getframe(1)
        claims = claims_of(
            lambda family: self._flows(flow, family, {}),
            made(expected, **words),
            {4: None if ipv4 is None else made(ipv4), 6: None if ipv6 is None else made(ipv6)},
            Position(caller.f_code.co_filename, caller.f_lineno, 1),
        )
        for claim in claims:
            check_sees(claim.expected, self.plan)
        journeys = self._measured([claim.flow for claim in claims], {})
        verdicts = [
            Verdict(claim, journey, check(claim.expected, journey, self.plan))
            for claim, journey in zip(claims, journeys, strict=True)
        ]
        if any(not verdict.check.passed for verdict in verdicts):
            raise ExpectationFailed(verdicts)
        return [verdict.journey for verdict in verdicts]

    def exposure(
        self,
        origin: str = "outside",
        target: str | None = None,
        family: int | None = None,
        *,
        reaches: Sequence[str] | None = None,
        nothing_else: bool = False,
    ) -> Exposure:
        """What becomes of all packets that enter at ``origin``, from the plan alone.

        >>> exposure = lab.exposure("outside", "host", family=4, reaches=["host:80/tcp", "host:443/tcp"])
        >>> sorted({region.fate.word for region in exposure.parts[0].regions if region.fate.open})
        ['reaches']

        ``origin``: ``outside``, a node that sends the packets, or a host's interface. ``target``: a node, an
        address or a network. With ``reaches`` (``["host:80/tcp"]``), raises ExposureFailed (an
        AssertionError) unless a packet reaches each of these; with ``nothing_else``, also if anything else is
        open. Raises UsageError for unknown names.
        """
        __tracebackhide__ = True
        self._check()
        families = FAMILIES if family is None else (Family(family),)
        found = Exposure.of(self.plan, origin, target, families)
        wrong = offences(found, reaches or (), nothing_else=nothing_else)
        if wrong:
            raise ExposureFailed(found, wrong)
        return found

    def verify_exposures(self) -> list[ExposureVerdict]:
        """Check what the scenario expects of all packets of a place: ``exposure`` in ``x-netlab.expect``.

        >>> lab.verify_exposures()
        []

        A real lab proves each with packets; a prediction, and a fake lab, say what the plan says. Raises
        ScenarioError for a place or a target that there is not.
        """
        self._check()
        return [self._proved(*judged(self.plan, one)) for one in self.plan.exposures]

    def _proved(self, verdict: ExposureVerdict, _: Exposure) -> ExposureVerdict:
        """The verdict with the kernel's proof, where there is a kernel."""
        return verdict

    def _flows(
        self, flow: str | Flow, family: int | None, options: PacketOptions, *, alone: bool = False
    ) -> list[Flow]:
        __tracebackhide__ = True
        self._check()
        found = flows_of(self.plan, flow, family, options)
        if alone and len(found) != 1:
            some = ", ".join(f"{one} {one.family.word}" for one in found[:4])
            raise UsageError(
                f"{flow} means {len(found)} flows ({some}{', …' if len(found) > 4 else ''}); "
                "give family=4 or family=6, one origin and one port, or use probe_all"
            )
        return found


def refuse_unmeasured(journeys: Iterable[Journey]) -> None:
    """Raise Unmeasured, with the reasons, if any journey is unmeasured."""
    __tracebackhide__ = True
    failed = [journey for journey in journeys if journey.outcome == "unmeasured"]
    if failed:
        problems = [f"{one.flow.origin} -> {one.flow.to} {one.flow.family}: {one.problem}" for one in failed]
        raise Unmeasured("\n".join(problems))
