"""What every benchmark shares: interleaved rounds, ratios to a yardstick, goals, one line of a table.

A benchmark is a module of this package with one function::

    def run(effort: Effort) -> Iterator[Result]: ...

It measures netlab beside a yardstick, round by round in turn, so that a loaded minute slows both; the
result is the median of the per-round ratios.  Absolute figures are only for orientation.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from netlab.model.errors import MachineError

Measure = Callable[[], float]
"""One sample: does the work once and returns what it cost (seconds, bytes, or a rate per second)."""


class NoYardstick(MachineError):
    """The yardstick is not on this machine; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure: at most ``rounds`` interleaved rounds, at most ``seconds``.

    ``quick`` asks for the small sizes only (10 and 100 containers, never 1000).
    """

    rounds: int = 7
    seconds: float = 60.0
    quick: bool = False

    def fewer(self, rounds: int) -> Effort:
        """The same with at most this many rounds, for samples that take seconds each."""
        return Effort(min(self.rounds, rounds), self.seconds, self.quick)


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound on a ratio, with the way the ratio is formed.

    ``at most``: ours / theirs ≤ limit (a cost). ``faster``: theirs / ours ≥ limit (a cost, said as a
    speed-up). ``at least``: ours / theirs ≥ limit (a rate).
    """

    kind: Literal["at most", "faster", "at least"]
    limit: float

    def ratio(self, ours: float, theirs: float) -> float:
        """The ratio of one round."""
        return theirs / ours if self.kind == "faster" else ours / theirs

    def met(self, ratio: float) -> bool:
        """Whether a ratio keeps the bound."""
        return ratio <= self.limit if self.kind == "at most" else ratio >= self.limit

    def __str__(self) -> str:
        sign = "≤" if self.kind == "at most" else "≥"
        return f"{sign} {self.limit:g}×" + (" faster" if self.kind == "faster" else "")


def at_most(limit: float) -> Goal:
    """Ours costs at most ``limit`` times theirs."""
    return Goal("at most", limit)


def faster(limit: float) -> Goal:
    """Ours takes at most a ``limit``-th of theirs."""
    return Goal("faster", limit)


def at_least(limit: float) -> Goal:
    """Our rate is at least ``limit`` times theirs."""
    return Goal("at least", limit)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    ``ours`` and ``theirs`` are medians in ``unit``; ``ratio`` is the median of the per-round ratios.
    """

    name: str
    yardstick: str
    ours: float
    theirs: float
    ratio: float
    goal: Goal
    unit: str = "s"
    rounds: int = 1
    note: str = ""
    #: the smallest and the largest ratio of a round
    spread: tuple[float, float] | None = None

    @property
    def met(self) -> bool:
        """Whether the goal was met."""
        return self.goal.met(self.ratio)


@dataclass(frozen=True, slots=True)
class Samples:
    """What the interleaved rounds gave, pairwise."""

    ours: tuple[float, ...]
    theirs: tuple[float, ...]

    def result(self, name: str, yardstick: str, goal: Goal, *, unit: str = "s", note: str = "") -> Result:
        """The line of the table for these samples."""
        ratios = [goal.ratio(a, b) for a, b in zip(self.ours, self.theirs, strict=True)]
        return Result(
            name,
            yardstick,
            statistics.median(self.ours),
            statistics.median(self.theirs),
            statistics.median(ratios),
            goal,
            unit,
            len(ratios),
            note,
            (min(ratios), max(ratios)),
        )


def interleaved(effort: Effort, ours: Measure, theirs: Measure, *, warm: bool = True) -> Samples:
    """Measure both in turn, the first of each pair changing sides every round.

    ``warm`` takes one sample of each beforehand that does not count. At least one round is taken
    however short the time is.
    """
    if warm:
        ours(), theirs()
    mine: list[float] = []
    other: list[float] = []
    end = time.monotonic() + effort.seconds
    for number in range(max(1, effort.rounds)):
        if number and time.monotonic() > end:
            break
        if number % 2:
            other.append(theirs())
            mine.append(ours())
        else:
            mine.append(ours())
            other.append(theirs())
    return Samples(tuple(mine), tuple(other))


def timed(work: Callable[[], object], after: Callable[[], object] | None = None) -> Measure:
    """A sample that is the wall time of ``work`` in seconds; ``after`` cleans up, outside the time."""

    def sample() -> float:
        start = time.perf_counter()
        work()
        taken = time.perf_counter() - start
        if after is not None:
            after()
        return taken

    return sample


def absolute(name: str, value: float, limit: float, *, unit: str, note: str = "") -> Result:
    """A line whose goal is an absolute bound (memory, say): the yardstick is the bound itself."""
    return Result(name, "the bound", value, limit, value / limit, at_most(1.0), unit, 1, note)


def _scaled(value: float, unit: str) -> str:
    """A figure with three digits: seconds as s, ms or µs, anything else with its unit."""
    if unit == "s":
        for factor, word in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
            if value * factor >= 1 or word == "µs":
                return f"{value * factor:.3g} {word}"
    return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.3g} {unit}"


def ratio_text(ratio: float, spread: tuple[float, float] | None, rounds: int) -> str:
    """The median ratio, with the smallest and the largest of several rounds."""
    if spread is None or rounds < 2:
        return f"{ratio:.2f}×"
    low, high = spread
    return f"{ratio:.2f}× ({low:.2f} to {high:.2f})"


HEADINGS = ("what", "netlab", "yardstick", "", "ratio", "goal", "met")


def row(result: Result) -> tuple[str, ...]:
    """The cells of a result under :data:`HEADINGS`."""
    return (
        result.name,
        _scaled(result.ours, result.unit),
        _scaled(result.theirs, result.unit),
        result.yardstick,
        ratio_text(result.ratio, result.spread, result.rounds),
        str(result.goal),
        "yes" if result.met else "NO",
    )


def table(results: Sequence[Result]) -> Iterator[str]:
    """The results as lines of aligned text."""
    yield from aligned([HEADINGS, *map(row, results)])


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of as many cells as lines of text, cells below each other."""
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    for cells in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
