"""Questions to a lab, and what is expected of the answers: the same for a real lab and for a fake one."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from netlab.journey.expect import Verdict, check
from netlab.journey.expect_words import ExpectationFailed, claims_of
from netlab.journey.expect_words import expected as made
from netlab.lab.probe_options import flows as flows_of
from netlab.model.errors import Position, Unmeasured, UsageError
from netlab.model.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Unpack

    from netlab.journey.expect_words import ExpectedWords
    from netlab.lab.probe_options import PacketOptions
    from netlab.model.expectation import Expected
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan


class Questions(ABC):
    """What can be asked of a lab: :meth:`probe`, :meth:`probe_all` and :meth:`expect`."""

    @property
    @abstractmethod
    def plan(self) -> Plan:
        """What names in a flow mean."""

    @abstractmethod
    def _check(self) -> None:
        """Raise LabError if nothing can be asked any more."""

    @abstractmethod
    def _measured(self, flows: Sequence[Flow], options: PacketOptions) -> list[Journey]:
        """The journey of each flow, in order; raises Unmeasured."""

    def probe(self, flow: str | Flow, family: int | None = None, **options: Unpack[PacketOptions]) -> Journey:
        """Send one flow, and say which way it went.

        ::

            journey = lab.probe("client -> host:80", family=6)
            assert (journey.outcome, journey.path) == ("ok", "proxy")

        ``options``: see :class:`~netlab.lab.probe_options.PacketOptions`. Raises UsageError for what stands
        for several flows (a name with addresses of both families and no ``family``, a glob, a range of
        ports).
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
        """Send every flow that ``flows`` stands for, and say which way each went, in order."""
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
        """Send a flow, and raise ExpectationFailed (an AssertionError) unless it goes as expected.

        ``lab.expect("client -> host:80", ipv4="ok forward", ipv6="ok proxy")`` holds for a family each;
        ``expected`` and ``words`` (``sees="client"``) for every family that is asked about: the two named,
        or else all in which the target has an address. See :func:`~netlab.journey.expect_words.expected`.
        """
        __tracebackhide__ = True
        caller = sys._getframe(1)
        claims = claims_of(
            lambda family: self._flows(flow, family, {}),
            made(expected, **words),
            {4: None if ipv4 is None else made(ipv4), 6: None if ipv6 is None else made(ipv6)},
            Position(caller.f_code.co_filename, caller.f_lineno, 1),
        )
        journeys = self._measured([claim.flow for claim in claims], {})
        verdicts = [
            Verdict(claim, journey, check(claim.expected, journey, self.plan))
            for claim, journey in zip(claims, journeys, strict=True)
        ]
        if any(not verdict.check.passed for verdict in verdicts):
            raise ExpectationFailed(verdicts)
        return [verdict.journey for verdict in verdicts]

    def _flows(
        self, flow: str | Flow, family: int | None, options: PacketOptions, *, alone: bool = False
    ) -> list[Flow]:
        __tracebackhide__ = True
        self._check()
        found = flows_of(self.plan, flow, family, options)
        if alone and len(found) != 1:
            some = ", ".join(f"{one} {one.family.word}" for one in found[:4])
            raise UsageError(
                f"{flow} stands for {len(found)} flows ({some}{', …' if len(found) > 4 else ''}): "
                "say family=4 or family=6, one origin and one port; or ask probe_all"
            )
        return found


def refuse_unmeasured(journeys: Iterable[Journey]) -> None:
    """Raises Unmeasured, with what failed, if any journey is."""
    __tracebackhide__ = True
    failed = [journey for journey in journeys if journey.outcome == "unmeasured"]
    if failed:
        told = [f"{one.flow.origin} -> {one.flow.to} {one.flow.family}: {one.problem}" for one in failed]
        raise Unmeasured("\n".join(told))
