"""A run's ratios beside those of an earlier one, with what moved by more than the rounds of either differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netlab.bench.frame import Result, aligned, ratio_text
from netlab.model.errors import UsageError

HEADINGS = ("what", "yardstick", "before", "now", "")


@dataclass(frozen=True, slots=True)
class Before:
    """The ratio of an earlier run: its median, and the smallest and the largest of its rounds."""

    ratio: float
    spread: tuple[float, float]
    rounds: int


def read(file: Path) -> dict[tuple[str, str], Before]:
    """What an earlier ``--json`` wrote, by what was measured and its yardstick; raises UsageError."""
    try:
        return {(one["name"], one["yardstick"]): _before(one) for one in runs_of(file)}
    except (ValueError, TypeError, KeyError) as error:
        raise _useless(file, error) from None


def runs_of(file: Path) -> list[Mapping[str, Any]]:
    """The results that an earlier ``--json`` wrote; raises UsageError."""
    try:
        found: list[Mapping[str, Any]] = json.loads(file.read_text("utf-8"))["results"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _useless(file, error) from None
    return found


def _useless(file: Path, error: Exception) -> UsageError:
    return UsageError(f"{file} has no results of an earlier --json: {error}")


def _before(one: Mapping[str, Any]) -> Before:
    ratio = float(one["ratio"])
    low, high = one.get("spread") or (ratio, ratio)
    return Before(ratio, (float(low), float(high)), int(one["rounds"]))


def lines(results: Sequence[Result], before: Mapping[tuple[str, str], Before]) -> Iterator[str]:
    """A line of aligned text for each result, in the order in which they were measured."""
    rows = [HEADINGS]
    for result in results:
        known = before.get((result.name, result.yardstick))
        then = "new" if known is None else ratio_text(known.ratio, known.spread, known.rounds)
        now = ratio_text(result.ratio, result.spread, result.rounds)
        rows.append((result.name, result.yardstick, then, now, moved(result, known)))
    yield from aligned(rows)


def moved(result: Result, before: Before | None) -> str:
    """``BETTER`` or ``WORSE`` if no round of one run has a ratio between those of the other; else empty.

    One round alone does not say what noise is.
    """
    if before is None or min(before.rounds, result.rounds) < 2:
        return ""
    low, high = result.spread or (result.ratio, result.ratio)
    if low <= before.spread[1] and before.spread[0] <= high:
        return ""
    less = result.ratio < before.ratio
    return "BETTER" if less is (result.goal.kind == "at most") else "WORSE"
