"""What ways cost, as text with bars, and as a document."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.model.cost import QUANTITIES, Costs, Figure, MeasuredWay, Spread
from netlab.view import rich

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from netlab.model.cost import Memory, Quantity
    from netlab.view.documents.cost import (
        CostsDocument,
        CostWayDocument,
        FigureDocument,
        MemoryDocument,
        SpreadDocument,
    )

#: Columns of a bar, and those that everything else of a line takes at most.
_BAR, _REST = 24, 92


def report(costs: Costs, width: int) -> Iterator[RenderableType]:
    """The ways by number, a table for each quantity, memory, and how it was measured.

    Bars are drawn where ``width`` columns have room for them.
    """
    for number, way in enumerate(costs.ways, 1):
        yield rich.Text(f"{number:2}  {way.label}" + (f": {way.problem}" if way.problem else ""))
    for quantity in QUANTITIES.values():
        rows = [
            (number, way, way.figures[quantity.key])
            for number, way in enumerate(costs.ways, 1)
            if quantity.key in way.figures
        ]
        if rows:
            yield ""
            yield rich.Text(heading(quantity), style="bold")
            yield _table(quantity, rows, width)
    yield ""
    yield from memory_lines(costs)
    yield how(costs)
    yield from costs.notes


def _table(quantity: Quantity, rows: list[tuple[int, MeasuredWay, Figure]], width: int) -> RenderableType:
    table = rich.Table(box=None, show_header=True, pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("")
    for title in ("min", "median", "max", "", "× direct: min", "median", "max"):
        table.add_column(title, justify="right")
    longest = longest_ratio([figure for _, _, figure in rows])
    if width >= _REST + _BAR:
        table.add_column("")
    for number, way, figure in rows:
        cells = [f"{number:2}", f"{way.name}, {way.family}", *values(quantity, figure.spread), ""]
        cells += ratios(figure.ratio)
        texts: list[Text] = [rich.Text(cell) for cell in cells]
        if width >= _REST + _BAR:
            texts.append(bar(figure.ratio, longest, _BAR))
        table.add_row(*texts)
    return table


def heading(quantity: Quantity) -> str:
    """What is measured, in which unit, and what is better."""
    return f"{quantity.title} ({scale_of(quantity)[1]}; {quantity.better} is better)"


def scale_of(quantity: Quantity) -> tuple[float, str]:
    """What a quantity is multiplied with when it is shown, and the unit of that."""
    if quantity.unit == "bit/s":
        return 1e-9, "Gbit/s"
    if quantity.unit == "s":
        return (1e6, "µs") if quantity.key.startswith("p") and quantity.key[1].isdigit() else (1e3, "ms")
    return 1.0, quantity.unit


def values(quantity: Quantity, spread: Spread) -> list[str]:
    """The smallest, the median and the largest value, in the unit of :func:`scale_of`."""
    factor, _ = scale_of(quantity)
    return [three_digits(value * factor) for value in (spread.low, spread.median, spread.high)]


def three_digits(value: float) -> str:
    """``12,345``, ``123``, ``12.3`` or ``0.0123``."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def ratios(spread: Spread | None) -> list[str]:
    """The same of the ratios; nothing for the direct way."""
    if spread is None:
        return ["", "", ""]
    return [f"{value:.2f}" for value in (spread.low, spread.median, spread.high)]


def longest_ratio(figures: list[Figure]) -> float:
    """The largest of all ratios, and 1 at least: the end of the axis."""
    return max([1.0, *(figure.ratio.high for figure in figures if figure.ratio is not None)])


def bar(spread: Spread | None, longest: float, columns: int) -> Text:
    """A bar to the smallest ratio, lighter to the largest, with ``│`` at 1 where it does not reach."""
    line = ""
    for column in range(columns):
        here = (column + 0.5) / columns * longest
        one = int(columns / longest) == column or (longest == 1.0 and column == columns - 1)
        if spread is not None and here <= spread.low:
            line += "█"
        elif spread is not None and here <= spread.high:
            line += "▒"
        else:
            line += "│" if one else " "
    return rich.Text(line.rstrip())


def memory_lines(costs: Costs) -> Iterator[str]:
    """The memory of one more published port, one line for each host that has listeners."""
    for one in costs.memory:
        where = f"{one.variant}: " if one.variant else ""
        sockets = f"{one.listeners} listener{'s' * (one.listeners != 1)}"
        if one.octets is None:
            what = f"memory of one more published port ({one.program}, {sockets})"
            yield f"{where}{what}: not measured: {one.problem}"
        else:
            kilobytes = three_digits(one.octets / 1024)
            yield f"{where}memory of one more published port: {kilobytes} KiB ({one.program}, {sockets})"


def how(costs: Costs) -> str:
    """How it was measured, in one line."""
    return (
        f"{costs.rounds} rounds, one way after the other in each, {costs.seconds:g} s of load; {costs.tool}; "
        f"congestion control {costs.congestion}; each way was traced before and after the load"
    )


def document(costs: Costs) -> CostsDocument:
    """Everything as JSON: values and ratios of each round, in SI units."""
    return {
        "machine": {
            "kernel": platform.release(),
            "python": platform.python_version(),
            "processors": os.cpu_count(),
        },
        "tool": costs.tool,
        "rounds": costs.rounds,
        "seconds": costs.seconds,
        "congestion_control": costs.congestion,
        "notes": list(costs.notes),
        "ways": [_way(way) for way in costs.ways],
        "memory": [_memory(one) for one in costs.memory],
    }


def _memory(memory: Memory) -> MemoryDocument:
    found: MemoryDocument = {
        "variant": memory.variant,
        "program": memory.program,
        "listeners": memory.listeners,
        "bytes_per_published_port": memory.octets,
    }
    if memory.problem:
        found["problem"] = memory.problem
    return found


def _way(way: MeasuredWay) -> CostWayDocument:
    found: CostWayDocument = {
        "variant": way.variant,
        "way": way.name,
        "flow": way.flow,
        "family": way.family,
        "outcome": way.outcome,
        "path": way.path,
        "figures": {key: _figure(figure) for key, figure in way.figures.items()},
    }
    if way.problem:
        found["problem"] = way.problem
    return found


def _figure(figure: Figure) -> FigureDocument:
    spread = _spread(figure.spread)
    found: FigureDocument = {
        "unit": figure.quantity.unit,
        "better": figure.quantity.better,
        "min": spread["min"],
        "median": spread["median"],
        "max": spread["max"],
        "values": list(figure.values),
    }
    if figure.ratio is not None:
        found["ratio_to_direct"] = {**_spread(figure.ratio), "values": list(figure.ratios)}
    return found


def _spread(spread: Spread) -> SpreadDocument:
    return {"min": spread.low, "median": spread.median, "max": spread.high}
