"""The JSON objects of the verdicts of a verification."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from netlab.journey.expect import VerdictWord
from netlab.model.journey_json import JourneyDocument
from netlab.model.outcome import OutcomeName, PathName

_NotBy = TypedDict("_NotBy", {"not-by": NotRequired[str]})


class ExpectedWordsDocument(_NotBy):
    """What the scenario expects, with the keys of its own language; one that it does not name is left out."""

    outcome: NotRequired[OutcomeName]
    path: NotRequired[PathName]
    sees: NotRequired[str]
    by: NotRequired[str]
    dnat: NotRequired[str]


class VerdictDocument(TypedDict):
    """One flow with an expectation."""

    position: str  #: `file:line:column` of the expectation
    after: list[str]  #: the events that had happened
    flow: str
    family: str
    verdict: VerdictWord
    expected: ExpectedWordsDocument
    problems: list[str]  #: a sentence for each difference
    journey: JourneyDocument


class ExposureVerdictDocument(TypedDict):
    """One expectation about all packets."""

    position: str
    exposure: str  #: from where
    verdict: VerdictWord
    expected: str
    problems: list[str]
    packets: int | None  #: how many the kernel was asked about; null if it was not asked
