"""What ways cost, as a picture: for each quantity a bar for each way, as long as its ratio to the direct."""

from __future__ import annotations

from netlab.model.cost import QUANTITIES, Costs, Figure, MeasuredWay
from netlab.view.cost import heading, how, longest_ratio, memory_lines, ratios, values
from netlab.view.svg import LINE, Drawing, text_width

#: Pixels: the left edge, the length of the longest bar, a bar's height, and between parts.
_EDGE, _LONG, _BAR, _GAP = 16, 320, 14, 14
#: Letters below the usual size.
_SMALL = 12


def svg(costs: Costs) -> str:
    """An SVG document; its description holds the medians as text."""
    drawing = Drawing()
    described: list[str] = []
    labels = [way.label for way in costs.ways]
    left = _EDGE + max(map(text_width, labels), default=0) + _GAP
    y = float(_EDGE + LINE)
    title = "What each way costs, beside one veth pair"
    drawing.text(_EDGE, y, title, "text", size=18)
    y += LINE + _GAP
    for quantity in QUANTITIES.values():
        rows = [
            (label, way, way.figures[quantity.key])
            for label, way in zip(labels, costs.ways, strict=True)
            if quantity.key in way.figures
        ]
        if not any(figure.ratio for _, _, figure in rows):
            continue
        drawing.text(_EDGE, y, heading(quantity), "text bold")
        y = _group(drawing, rows, left, y + _GAP / 2)
        described.append(heading(quantity))
        for label, _, figure in rows:
            ratio = ratios(figure.ratio)[1]
            of_direct = f", {ratio} of the direct way" if ratio else ""
            described.append(f"{label}: {values(quantity, figure.spread)[1]}{of_direct}")
        y += LINE + _GAP
    for line in (*memory_lines(costs), how(costs)):
        drawing.text(_EDGE, y, line, "dim", size=_SMALL)
        y += LINE
    return drawing.render(title, described)


def _group(drawing: Drawing, rows: list[tuple[str, MeasuredWay, Figure]], left: float, y: float) -> float:
    """The bars of one quantity; the height at which they end."""
    scale = _LONG / longest_ratio([figure for _, _, figure in rows])
    top = y
    for label, _, figure in rows:
        drawing.text(_EDGE, y + LINE - 5, label)
        spread = figure.ratio
        low, middle, high = (1.0, 1.0, 1.0) if spread is None else (spread.low, spread.median, spread.high)
        look = "bus" if spread is None else "container"
        base = y + LINE - _BAR - 2
        drawing.box(left, base, max(1.0, middle * scale), _BAR, look, corner=2)
        if spread is not None:
            centre = base + _BAR / 2
            drawing.line([(left + low * scale, centre), (left + high * scale, centre)])
            for end in (low, high):
                drawing.line([(left + end * scale, base + 3), (left + end * scale, base + _BAR - 3)])
        shown = values(figure.quantity, figure.spread)[1]
        times = "" if spread is None else f"  × {' – '.join(ratios(spread))}"
        drawing.text(left + _LONG + _GAP, y + LINE - 5, f"{shown}{times}", "dim", size=_SMALL)
        y += LINE
    drawing.line([(left + scale, top), (left + scale, y + 2)], "unused")
    return y
