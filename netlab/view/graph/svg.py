"""A topology as an SVG drawing.

From left to right: the machines outside, the segments, and each host with its interfaces and published ports,
its bridges, and its containers. A bus is a vertical line, an interface a horizontal one, and a dot is where
they are joined. Vertical lines that would overlap are side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from netlab.view.graph.boxes import PAD, Box, bus_box, description, host_box, machine_box
from netlab.view.svg import CHAR, LINE, SIZE, Drawing, text_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlab.view.graph.topology import Bus, EdgeEnd, Machine, Topology

    BusName = tuple[str, str]

#: Lines that could meet are half a line's height off each other: no two coincide.
_EDGE: Final = LINE  #: around everything
_GAP: Final = LINE  #: between boxes
_LANE: Final = 18.0  #: between the lines of two buses
_SMALL: Final = 12  #: the letters of the names on links


@dataclass(frozen=True, slots=True)
class _Link:
    """A line from a bus to the edge of a machine's box; ``right``: that edge is to the right of the bus."""

    x: float
    y: float
    port: str
    right: bool


def svg(topology: Topology, *, key: str = "topology", styled: bool = True) -> str:
    """The drawing of a topology as an SVG document; ``key`` and ``styled`` as in :meth:`Drawing.render`."""
    layout = _Layout(topology)
    layout.draw()
    return layout.drawing.render(
        f"Topology of {topology.title}", description(topology), key=key, styled=styled
    )


def _widest(boxes: Iterable[Box]) -> float:
    return max((box.width for box in boxes), default=0)


def _port_room(ends: Iterable[EdgeEnd]) -> float:
    """The room for the names of the buses' ends of links."""
    return max((text_width(end.port) for end in ends), default=0) * _SMALL / SIZE + 2 * CHAR


def _stack(boxes: Iterable[Box], x: float, y: float) -> float:
    """Place boxes below each other; returns where the next one would be."""
    for box in boxes:
        box.x, box.y = x, y
        y += box.height + _GAP
    return y


class _Layout:
    """Places boxes from left to right, and draws; ``links`` has what is placed already, by bus."""

    def __init__(self, topology: Topology) -> None:
        self.drawing = Drawing()
        self._topology = topology
        self._links: dict[BusName, list[_Link]] = {(bus.host, bus.name): [] for bus in topology.buses}

    def draw(self) -> None:
        found, drawing = self._topology, self.drawing
        drawing.text(_EDGE, _EDGE + PAD, found.title, "text bold")
        segments = [(bus, bus_box(bus)) for bus in found.segments]
        top = 3 * LINE + max((box.height + _GAP for _, box in segments), default=0)
        outside = [(machine, machine_box(machine)) for machine in found.outside]
        _stack((box for _, box in outside), _EDGE, top)
        width = _widest(box for _, box in outside)
        self._reach(outside, _EDGE + width, right=False)
        x = _EDGE + width + _port_room(end for machine in found.outside for end in machine.ends)
        for _, box in segments:
            box.x, box.y = x, 2.5 * LINE
            x += box.width + _GAP
        x += _port_room(end for host in found.hosts for end in host.ends)
        top += PAD
        for host in found.hosts:
            top = self._host(host, x, top) + _GAP
        for bus, box in segments:
            self._bus(bus, box.x + box.width / 2, [box.y + box.height])
            box.draw(drawing, box.width, box.height)
        for _, box in outside:
            box.draw(drawing, width, box.height)

    def _reach(self, machines: Iterable[tuple[Machine, Box]], x: float, *, right: bool) -> None:
        """Remember the links of machines whose boxes have their edge at ``x``."""
        for machine, box in machines:
            for number, end in enumerate(machine.ends):
                self._links[end.bus].append(_Link(x, box.row(number), end.port, right))

    def _host(self, host: Machine, x: float, y: float) -> float:
        """Draw a host with all that is on it; returns where its frame ends."""
        found = self._topology
        frame = host_box(found, host)
        frame.x, frame.y = x, y
        self._reach([(host, frame)], x, right=True)
        buses = [(bus, bus_box(bus)) for bus in found.buses_of(host.name)]
        machines = [(machine, machine_box(machine)) for machine in found.inside(host.name)]
        bottom = max(
            y + frame.height,
            _stack((box for _, box in buses), x + frame.width + _GAP, y + 1.5 * LINE),
            _stack((box for _, box in machines), 0, y + LINE),
        )
        # The order of machines decides how far each bus reaches, and this how many lanes there are.
        self._reach(machines, 0, right=True)
        lanes = _lanes([self._span(bus, box) for bus, box in buses])
        bus_width, machine_width = _widest(b for _, b in buses), _widest(b for _, b in machines)
        first = x + frame.width + _GAP + bus_width + _LANE
        edge = first + max(lanes, default=0) * _LANE + _port_room(e for m, _ in machines for e in m.ends)
        self._move(buses, edge)
        right = edge + machine_width if machines else first + max(lanes, default=0) * _LANE
        frame.draw(self.drawing, max(right, x + frame.width) + _GAP - x, bottom - y)
        for (bus, box), lane in zip(buses, lanes, strict=True):
            at = first + lane * _LANE
            if self._links[bus.host, bus.name]:
                self.drawing.line([(box.x, box.row(0)), (at, box.row(0))])
                self._bus(bus, at, [box.row(0)])
            box.draw(self.drawing, bus_width, box.height)
        for _, box in machines:
            box.x = edge
            box.draw(self.drawing, machine_width, box.height)
        return bottom

    def _move(self, buses: Iterable[tuple[Bus, Box]], edge: float) -> None:
        """The machines' edge is known now."""
        for bus, _ in buses:
            links = self._links[bus.host, bus.name]
            links[:] = [_Link(edge, link.y, link.port, True) if not link.x else link for link in links]

    def _span(self, bus: Bus, box: Box) -> tuple[float, float]:
        heights = [box.row(0), *(link.y for link in self._links[bus.host, bus.name])]
        return min(heights), max(heights)

    def _bus(self, bus: Bus, x: float, own: Sequence[float]) -> None:
        """The vertical line of a bus and its links; it also reaches its ``own`` heights."""
        links = self._links[bus.host, bus.name]
        heights = [*own, *(link.y for link in links)]
        self.drawing.line([(x, min(heights)), (x, max(heights))])
        for link in links:
            self.drawing.line([(x, link.y), (link.x, link.y)])
            self.drawing.dot(x, link.y)
            at, anchor = (link.x - CHAR / 2, "end") if link.right else (link.x + CHAR / 2, "start")
            self.drawing.text(at, link.y - 4, link.port, "dim", anchor=anchor, size=_SMALL)


def _lanes(spans: Iterable[tuple[float, float]]) -> list[int]:
    """The lane of each vertical line: the first in which it overlaps no earlier one."""
    taken: list[list[tuple[float, float]]] = []
    chosen = []
    for start, end in spans:
        lane = next(
            (n for n, used in enumerate(taken) if all(end < a - PAD or start > b + PAD for a, b in used)),
            len(taken),
        )
        if lane == len(taken):
            taken.append([])
        taken[lane].append((start, end))
        chosen.append(lane)
    return chosen
