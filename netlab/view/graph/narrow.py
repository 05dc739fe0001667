"""A topology as an SVG drawing for narrow screens: one column, each bus with its machines below it.

A machine is drawn once for each of its links; a host also has a frame, with its published ports and bridges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from netlab.view.graph.boxes import PAD, Box, bus_box, description, host_box, machine_box
from netlab.view.svg import LINE, Drawing, folded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from netlab.view.graph.topology import Bus, Machine, Topology

_EDGE: Final = 6.0  #: around everything
_GAP: Final = LINE / 2  #: between boxes
_INDENT: Final = 1.5 * LINE  #: of the machines on a bus
_COLUMNS: Final = 36  #: the characters of a line


def narrow_svg(topology: Topology, *, key: str, styled: bool = True) -> str:
    """The drawing as an SVG document; ``key`` and ``styled`` as in :meth:`Drawing.render`."""
    drawing, y = Drawing(), _EDGE
    for line in folded(topology.title, _COLUMNS):
        y += LINE
        drawing.text(_EDGE, y, line, "text bold")
    y += _GAP
    for bus in topology.segments:
        column = _Column(_EDGE, y)
        column.add_bus(topology, bus)
        column.draw(drawing)
        y = column.bottom + _GAP
    for machine in topology.outside:
        if not machine.ends:
            column = _Column(_EDGE, y)
            column.add(machine_box(machine))
            column.draw(drawing)
            y = column.bottom
    for host in topology.hosts:
        y = _draw_host(drawing, topology, host, y) + _GAP
    return drawing.render(f"Topology of {topology.title}", description(topology), key=key, styled=styled)


def _draw_host(drawing: Drawing, topology: Topology, host: Machine, y: float) -> float:
    """The frame of a host and what is in it; returns where the frame ends."""
    frame = _fold(host_box(topology, host))
    frame.x, frame.y = _EDGE, y
    column = _Column(_EDGE + PAD, y + frame.height)
    for bus in topology.buses_of(host.name):
        column.add_bus(topology, bus)
    for machine in topology.inside(host.name):
        if not machine.ends:
            column.add(machine_box(machine))
    right = max([frame.x + frame.width, *(box.x + box.width + PAD for box in column.boxes)])
    frame.draw(drawing, right - frame.x, column.bottom - y)
    column.draw(drawing)
    return column.bottom


@dataclass(slots=True)
class _Column:
    """Boxes one below the other, with the lines between them."""

    x: float
    bottom: float
    boxes: list[Box] = field(default_factory=list)
    lines: list[list[tuple[float, float]]] = field(default_factory=list)

    def add(self, box: Box, indent: float = 0) -> Box:
        """Place a box at the bottom."""
        folded_box = _fold(box)
        folded_box.x, folded_box.y = self.x + indent, self.bottom
        self.boxes.append(folded_box)
        self.bottom += folded_box.height + _GAP
        return folded_box

    def add_bus(self, topology: Topology, bus: Bus) -> None:
        """Place a bus, and all that is on it."""
        head = self.add(bus_box(bus))
        at, end = self.x + _INDENT / 2, head.y + head.height
        for machine, link in topology.links(bus):
            lines = [(machine.name, "text bold"), (f"{link.interface} – {link.port}", "text")]
            box = self.add(
                Box(machine.kind, lines + [(address, "text") for address in link.addresses]), _INDENT
            )
            middle = box.y + box.height / 2
            self.lines += [[(at, end), (at, middle)], [(at, middle), (box.x, middle)]]
            end = middle

    def draw(self, drawing: Drawing) -> None:
        """Draw all of it."""
        for points in self.lines:
            drawing.line(points)
        for box in self.boxes:
            box.draw(drawing, box.width, box.height)


def _fold(box: Box) -> Box:
    """The box with no line longer than the drawing is wide."""
    return Box(box.look, list(_folded(box.lines)))


def _folded(lines: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for words, look in lines:
        indent = " " * (len(words) - len(words.lstrip()) + 2)
        yield from ((line, look) for line in folded(words, _COLUMNS, indent))
