"""An exposure in plain values, without its sets: what is shown of it, and what one process tells another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.exposure.boxes import Box
from netlab.exposure.fate import Fate
from netlab.exposure.proof import Proof
from netlab.exposure.shadow import Unused
from netlab.exposure.words import left_text, rules_text
from netlab.model.family import Family
from netlab.predict.evaluate import RuleName

if TYPE_CHECKING:
    from netlab.exposure.exposure import Exposure, Part


@dataclass(frozen=True, slots=True)
class DescribedLine:
    """One line: its packets in words, what becomes of them, and the rules that let them through, in words."""

    packets: str
    fate: Fate
    rules: str


@dataclass(frozen=True, slots=True)
class DescribedRegion:
    """All packets of one fate: boxes that are exact, and the rules that let them through."""

    fate: Fate
    accepted: tuple[RuleName, ...]
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class DescribedPart:
    """The packets of one family that enter at one place; without ``regions`` if nobody wanted their boxes."""

    family: Family
    place: str
    lines: tuple[DescribedLine, ...]
    regions: tuple[DescribedRegion, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """A whole exposure; ``proof`` is None if no packet was sent."""

    parts: tuple[DescribedPart, ...]
    unused: tuple[Unused, ...]
    proof: Proof | None = None


def described(exposure: Exposure, proof: Proof | None, *, boxes: bool) -> Described:
    """The plain values of an exposure, with the boxes of its regions if they are wanted: they take time."""
    parts = tuple(_part(part, boxes) for part in exposure.parts)
    return Described(parts, tuple(exposure.unused), proof)


def _part(part: Part, boxes: bool) -> DescribedPart:
    lines = tuple(
        DescribedLine(left_text(line.box, part.family), line.region.fate, rules_text(line.region))
        for line in part.lines()
    )
    regions = tuple(
        DescribedRegion(region.fate, region.accepted, tuple(part.boxes.cover(region.packets)))
        for region in part.regions
        if boxes
    )
    return DescribedPart(part.family, str(part.entry), lines, regions)
