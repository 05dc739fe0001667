"""``python -m netlab.bench.page FILE…``: results of one or several runs as a table of Markdown.

Each FILE is what ``--json`` wrote. A ratio is the median over all runs, with the smallest and the largest of
any round of any of them behind it. ``--growth`` prints the curves instead: each size and its time.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netlab.bench.against import runs_of
from netlab.bench.growth import PREFIX

Found = Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]


def rows(found: Found) -> Iterator[str]:
    """The lines of the table: what, beside what, the ratio with its spread, runs, and the goal."""
    yield "| what | compared with | ratio | smallest to largest | runs | goal | |"
    yield "|---|---|---|---|---|---|---|"
    for (name, yardstick), results in found.items():
        ratio = statistics.median(one["ratio"] for one in results)
        spreads = [one["spread"] or [one["ratio"]] * 2 for one in results]
        low, high = min(low for low, _ in spreads), max(high for _, high in spreads)
        met = "" if all(one["met"] for one in results) else "missed"
        if met and any(one["met"] for one in results):
            met = "missed in some"
        goal, spread = results[-1]["goal"], f"{_short(low)} to {_short(high)}"
        yield f"| {name} | {yardstick} | {_short(ratio)} | {spread} | {len(results)} | {goal} | {met} |"


def curves(found: Found) -> Iterator[str]:
    """The lines of the table of curves: the exponents, and the time of each size."""
    yield "| size | exponent | last step | seconds |"
    yield "|---|---|---|---|"
    for (name, _), results in found.items():
        if not name.startswith(PREFIX):
            continue
        points, _, last = results[-1]["note"].partition("; last step ")
        ratio = statistics.median(one["ratio"] for one in results)
        yield f"| {name.removeprefix(PREFIX)} | {ratio:.2f} | {last} | {points} |"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 20 else f"{value:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m netlab.bench.page", description=__doc__)
    parser.add_argument("file", nargs="+", type=Path)
    parser.add_argument("--growth", action="store_true", help="the curves of growth")
    options = parser.parse_args()
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for file in options.file:
        for one in runs_of(file):
            found.setdefault((one["name"], one["yardstick"]), []).append(one)
    print("\n".join((curves if options.growth else rows)(found)))


if __name__ == "__main__":
    main()
