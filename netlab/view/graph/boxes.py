"""The boxes of a topology's drawings: lines of text in a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from netlab.view.svg import LINE, Drawing, text_width

if TYPE_CHECKING:
    from netlab.view.graph.topology import Bus, Machine, Topology

PAD: Final = LINE / 2  #: inside a box


@dataclass(slots=True)
class Box:
    """A box with lines of text (words, look); ``rows``: the line of each interface."""

    look: str
    lines: list[tuple[str, str]]
    rows: list[int] = field(default_factory=list)
    x: float = 0
    y: float = 0

    @property
    def width(self) -> float:
        """What its lines need."""
        return max(text_width(words) for words, _ in self.lines) + 2 * PAD

    @property
    def height(self) -> float:
        """What its lines need."""
        return len(self.lines) * LINE + 2 * PAD

    def row(self, number: int) -> float:
        """The height of an interface's line."""
        return self.y + PAD + (self.rows[number] + 0.5) * LINE

    def draw(self, drawing: Drawing, width: float, height: float) -> None:
        """Draw it as large as this."""
        drawing.box(self.x, self.y, width, height, self.look)
        for number, (words, look) in enumerate(self.lines):
            drawing.text(self.x + PAD, self.y + PAD + (number + 0.75) * LINE, words, look)


def description(topology: Topology) -> list[str]:
    """The drawing in sentences, for those who do not see it."""
    lines = []
    for bus in topology.buses:
        ends = [f"{machine.name} by {end.interface}" for machine, end in topology.links(bus)]
        where = f" of {bus.host}" if bus.host else ""
        lines.append(f"{bus.words} {bus.name}{where} connects {', '.join(ends) or 'nothing'}.")
    lines += [f"{port.host} publishes {port.front} to {port.back}: {port.holder}." for port in topology.ports]
    return lines


def machine_box(machine: Machine) -> Box:
    """A machine with its interfaces."""
    box = Box(machine.kind, [(machine.name, "text bold")])
    box.lines += [(f"+ {guest}", "text") for guest in machine.guests]
    box.lines += [(machine.engine, "dim")] if machine.engine else []
    for end in machine.ends:
        box.rows.append(len(box.lines))
        first, *more = end.addresses or ("",)
        box.lines.append((f"{end.interface}  {first}".rstrip(), "text"))
        box.lines += [(" " * (len(end.interface) + 2) + address, "text") for address in more]
    if not machine.ends:
        box.lines += [(words, "dim") for words in machine.own or (machine.network,)]
    return box


def host_box(topology: Topology, host: Machine) -> Box:
    """A host with its interfaces and published ports."""
    box = machine_box(host)
    for port in topology.ports_of(host.name):
        box.lines += [(f"{port.front} → {port.back}", "text bold"), (f"  {port.holder}", "dim")]
    return box


def bus_box(bus: Bus) -> Box:
    """A bridge or segment."""
    lines = [(bus.name, "text bold"), (bus.words, "dim"), *((address, "text") for address in bus.addresses)]
    return Box("bus", lines, [0])
