"""The JSON objects of ``exposure``: all packets of one lab, and the difference of two."""

from __future__ import annotations

from typing import Annotated, NotRequired, TypedDict

from netlab.exposure.documents import BoxDocument, FateDocument
from netlab.model.journey_json import JourneyDocument


class RuleNameDocument(TypedDict):
    """A rule, in its place."""

    node: str
    family: str
    table: str
    chain: str
    rule: str


class RegionDocument(TypedDict):
    """All packets of one fate."""

    fate: FateDocument
    accepted: list[RuleNameDocument]  #: the rules that let them through
    boxes: list[BoxDocument]  #: exactly the packets of the region


_From = TypedDict("_From", {"from": Annotated[str, "where the packets enter"]})


class ExposurePartDocument(_From):
    """All packets of one family from one place."""

    family: str
    lines: list[str]  #: as they are printed
    regions: list[RegionDocument]  #: disjoint; together they are all packets that were asked for


class UnusedRuleDocument(RuleNameDocument):
    """A rule that never decides anything."""

    shadowed_by: list[RuleNameDocument]  #: those that decide in its place


class DisagreementDocument(TypedDict):
    """A packet that did otherwise than its region says."""

    flow: str
    family: str
    place: str  #: where in the region the packet is: `inside`, `first dport`, …
    region: FateDocument
    problem: str
    journey: JourneyDocument


class ProofDocument(TypedDict):
    """What the kernel said of the regions."""

    packets: int
    regions: int
    unproved: int  #: regions that no node can send to
    unmeasured: list[str]
    unsent: list[str]  #: packets of a protocol of which the kernel has no sockets
    disagreements: list[DisagreementDocument]


class ExposureDocument(TypedDict):
    """Every packet of a lab, by its fate."""

    parts: list[ExposurePartDocument]
    unused: list[UnusedRuleDocument]
    proof: NotRequired[ProofDocument]  #: left out with `--no-proof`


class FateChangeDocument(TypedDict):
    """The packets that have one fate in the first lab and another one in the second."""

    before: FateDocument
    after: FateDocument
    opens: bool | None  #: whether somebody takes them now; null: neither before nor after, or both
    boxes: list[BoxDocument]
    witness: str | None  #: a flow among them


class ExposureDifferencePartDocument(_From):
    """The changes at one place where packets enter."""

    family: str
    only_one_has_it: bool
    changes: list[FateChangeDocument]


class ExposureDifferenceDocument(TypedDict):
    """Which packets have another fate."""

    labels: list[str]  #: of both sides
    parts: list[ExposureDifferencePartDocument]
