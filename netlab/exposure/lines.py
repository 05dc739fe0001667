"""Regions as few lines, read from the top like a ruleset: the first that a packet fits is about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from netlab.exposure.boxes import Box, Boxes
from netlab.exposure.diagrams import Packets
from netlab.exposure.fate import Fate
from netlab.predict.evaluate import RuleName

#: of more regions, only those that somebody takes are looked at for what can be said first
_FEW: Final = 24
#: nodes of what all lines above are about, from which on a line says all of its packets
_LARGE: Final = 4000
#: the share of all addresses that "these addresses" may be
_SMALL: Final = 0.25


@dataclass(slots=True)
class Region:
    """All packets of one fate, and the rules that let them through."""

    fate: Fate
    packets: Packets
    accepted: tuple[RuleName, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a description. Without a box: everything else."""

    box: Box | None
    region: Region


def describe(boxes: Boxes, regions: Sequence[Region], asked: Packets) -> list[Line]:
    """The lines for regions that together are ``asked``.

    First what one address alone decides (sources that a host refuses), because everything below is shorter
    then; next what somebody takes; at the end what nobody takes, the longest description as "everything
    else".
    """
    said = _Said(boxes, ~asked)
    ended = [one for one in regions if not one.fate.open]
    if len(ended) <= _FEW:
        said.by_one_field("src", ended)
    some = [one for one in regions if one.fate.open]
    many = len(some) > _FEW
    opened = [(one, one.packets.dag_size if many else cost(said.left(one))) for one in some]
    refused = said.covered
    if len(ended) <= _FEW:
        said.by_one_field("dst", ended)
        said.by_one_field("src", ended)
    for _, group in groupby(sorted(opened, key=lambda pair: (pair[0].fate.node, pair[1])), _node_of):
        known = refused
        for region, _ in group:
            said.all_of(region, known, by_port=many)
            known |= region.packets
    if len(ended) <= _FEW:
        said.by_one_field("dst", ended)
    left = [one for one in ended if said.rest(one) != boxes.none]
    rest = [(one, said.rest(one).dag_size if len(left) > _FEW else cost(said.left(one))) for one in left]
    rest.sort(key=lambda pair: pair[1])
    for region, _ in rest[:-1]:
        known = said.covered
        # Words that hold because of the lines above are shorter, and in a long list hard to find.
        said.all_of(region, known if known.dag_size < _LARGE else boxes.none)
    return [*said.lines, *(Line(None, region) for region, _ in rest[-1:])]


def _node_of(pair: tuple[Region, int]) -> str:
    return pair[0].fate.node


def cost(found: Sequence[Box]) -> int:
    """How long a description is."""
    return sum(1 + sum(1 + len(ranges) for ranges in box.values()) for box in found)


class _Said:
    """The lines so far, and the packets that they are about."""

    def __init__(self, boxes: Boxes, covered: Packets) -> None:
        self._boxes = boxes
        self._parts = [covered]
        #: what is said of a region of which more is to be said
        self._of: dict[Fate, Packets] = {}
        self.lines: list[Line] = []

    @property
    def covered(self) -> Packets:
        """All packets that a line is about, and those that were not asked about."""
        self._parts = [self._boxes.union(self._parts)]
        return self._parts[0]

    def rest(self, region: Region) -> Packets:
        """The packets of a region that no line is about; the lines of others have none of them."""
        said = self._of.get(region.fate)
        return region.packets if said is None else region.packets & ~said

    def left(self, region: Region) -> tuple[Box, ...]:
        """What is left to say of a region."""
        return self._boxes.cover(self.rest(region), region.packets | self.covered)

    def all_of(self, region: Region, known: Packets, *, by_port: bool = False) -> None:
        """Say all that is left of a region, in words that need no line above but those about ``known``.

        ``by_port``: regions of one port each are many.
        """
        must = self.rest(region)
        cover = self._boxes.cover_by_port if by_port else self._boxes.cover
        self.lines += [Line(box, region) for box in cover(must, region.packets | known)]
        self._of[region.fate] = region.packets
        self._parts.append(region.packets)

    def by_one_field(self, field: str, regions: Sequence[Region]) -> None:
        """Say what few values of one field decide alone."""
        for region in regions:
            for box in self.left(region):
                if set(box) == {field} and self._boxes.share(box) < _SMALL:
                    self.lines.append(Line(box, region))
                    some = region.packets & self._boxes.packets([box])
                    self._of[region.fate] = self._of.get(region.fate, self._boxes.none) | some
                    self._parts.append(some)
