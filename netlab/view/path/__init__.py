"""The picture of a packet's path: the Netfilter diagram with the way of one journey drawn on it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from netlab.view.path import svg as drawn
from netlab.view.path import text as written
from netlab.view.path.scene import picture
from netlab.view.path.words import title

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from netlab.model.journey import Journey
    from netlab.model.plan import Plan


def svg(journeys: Iterable[Journey], plan: Plan | None = None) -> str:
    """Journeys as one SVG document; with the ``plan`` of their lab, also base chains that no rule matched."""
    return drawn.svg([(journey, picture(journey, plan)) for journey in journeys])


def text(journeys: Iterable[Journey], plan: Plan | None = None) -> str:
    """Journeys of one flow side by side, in 80 columns."""
    return written.text([(journey, picture(journey, plan)) for journey in journeys])


def of_one_flow(journeys: Iterable[Journey]) -> Iterator[list[Journey]]:
    """The journeys that are shown side by side: those of one flow over IPv4 and over IPv6."""
    for _, group in groupby(journeys, key=title):
        waiting: list[Journey] = []
        for journey in group:
            if waiting and waiting[-1].flow.family != journey.flow.family:
                yield [waiting.pop(), journey]
            else:
                yield from [waiting] if waiting else []
                waiting = [journey]
        yield from [waiting] if waiting else []
