"""A topology as a drawing of characters that fits a terminal.

::

    ══ segment ext ═══════════════════════════════════════════════════
    ├── client-eth0 ──── eth0 [client]  198.51.100.2/24
    └── host-ext0 ────── ext0 [host]    198.51.100.1/24

    ┌─ host ─ docker-20.10 ──────────────────────────────────────────┐
    │ ══ docker_httpd (bridge, network nw) 192.168.10.1/24 ═════════ │
    │ └── vethc9499ec ──── eth0 [httpd]  192.168.10.10/24            │
    └────────────────────────────────────────────────────────────────┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netlab.model.shown import shown_in_line
from netlab.view import rich

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.view.graph.topology import Bus, EdgeEnd, Machine, Topology

#: The width of the drawing, and the least one that is drawn.
WIDTH, _NARROWEST = 80, 40


def text(topology: Topology, width: int = WIDTH) -> str:
    """The drawing: no line takes more than ``width`` columns, 40 at least."""
    return "".join(f"{line}\n" for line in _lines(topology, max(width, _NARROWEST)))


def _lines(topology: Topology, width: int) -> Iterator[str]:
    yield from _folded(topology.title, width)
    for segment in topology.segments:
        yield ""
        yield from _bus(topology, segment, width)
    for machine in topology.outside:
        if not machine.ends:
            yield ""
            yield from _folded(f"[{_name(machine)}]  without a link", width)
    for host in topology.hosts:
        yield ""
        yield from _host(topology, host, width)


def _safe(words: str) -> str:
    return shown_in_line(words)


def _folded(words: str, width: int) -> list[str]:
    """The words in lines of ``width`` columns; a word that is wider is cut."""
    lines = [""]
    for word in _safe(words).split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if rich.cell_len(longer) <= width:
            lines[-1] = longer
            continue
        cut = rich.chop_cells(word, width)
        lines = [*lines, *cut] if lines[-1] else cut
    return lines


def _filled(words: str, width: int, fill: str = " ") -> str:
    """A line of the whole width."""
    return words + fill * (width - rich.cell_len(words))


def _name(machine: Machine) -> str:
    """The machine, with those that share its namespace: ``web + sidecar``."""
    return " + ".join((machine.name, *machine.guests))


def _host(topology: Topology, host: Machine, width: int) -> Iterator[str]:
    first, *more = _folded(f"{_name(host)} ─ {host.engine}" if host.engine else _name(host), width - 6)
    yield _filled(f"┌─ {first} ", width - 1, "─") + "┐"
    inner = [*more, *_inside(topology, host, width - 4)]
    yield from (f"│ {_filled(line, width - 4)} │" for line in inner)
    yield _filled("└", width - 1, "─") + "┘"


def _inside(topology: Topology, host: Machine, width: int) -> Iterator[str]:
    """The lines inside a host's frame, a gap between two parts."""
    parts = [list(_ports(topology, host, width))]
    parts += [list(_bus(topology, bus, width)) for bus in topology.buses_of(host.name)]
    lonely = [machine for machine in topology.inside(host.name) if not machine.ends]
    parts.append([line for one in lonely for line in _folded(f"[{_name(one)}]  {one.network}", width)])
    shown = [part for part in parts if part]
    for number, part in enumerate(shown):
        if number:
            yield ""
        yield from part


def _ports(topology: Topology, host: Machine, width: int) -> Iterator[str]:
    ports = topology.ports_of(host.name)
    if not ports:
        return
    yield "published"
    rows = [(_safe(port.front), _safe(port.back), _safe(port.holder)) for port in ports]
    front, back = (max(rich.cell_len(row[column]) for row in rows) for column in (0, 1))
    for row in rows:
        words = f"{_filled(row[0], front)} ──▶ {_filled(row[1], back)}"
        yield from _beside(f"  {words}", [row[2]], width, "    ")


def _beside(left: str, right: Sequence[str], width: int, indent: str) -> Iterator[str]:
    """``right`` beside ``left``, one below the other; if that is too wide, all of it below, indented."""
    at = rich.cell_len(left) + 2
    if at + max((rich.cell_len(one) for one in right), default=0) <= width:
        for number, one in enumerate(right or [""]):
            lead = f"{left}  " if not number else _filled(indent, at)
            yield f"{lead}{one}".rstrip()
        return
    room = width - rich.cell_len(indent)
    first, *more = rich.chop_cells(left, width)
    yield first
    # What is left of a line is not cut where it may be cut: the indent has no room to spare.
    rest = "".join(more)
    for words in ([rest] if rest else []) + list(right):
        yield from (f"{indent}{line}" for line in rich.chop_cells(words, room))


class _Row(NamedTuple):
    """A link: the bus's end, the machine's interface, the machine, its addresses."""

    port: str
    interface: str
    machine: str
    addresses: tuple[str, ...]


def _row(machine: Machine, end: EdgeEnd) -> _Row:
    addresses = tuple(map(_safe, end.addresses))
    return _Row(_safe(end.port), _safe(end.interface), f"[{_safe(_name(machine))}]", addresses)


def _bus(topology: Topology, bus: Bus, width: int) -> Iterator[str]:
    words = f"{bus.words} {bus.name}" if not bus.host else f"{bus.name} ({bus.words})"
    first, *more = _folded(" ".join((words, *bus.addresses)), width - 4)
    yield _filled(f"══ {first} ", width, "═")
    rows = [_row(machine, end) for machine, end in topology.links(bus)]
    start = f"{'║' if rows else ' '}  "
    yield from (f"{start}{line}" for line in more)
    if not rows:
        return
    port = max(rich.cell_len(row.port) for row in rows)
    interface = max(rich.cell_len(row.interface) for row in rows)
    machine = max(rich.cell_len(row.machine) for row in rows)
    for number, row in enumerate(rows):
        last = number == len(rows) - 1
        ports = _filled(f"{row.port} ", port + 2, "─")
        ends = _filled("", interface - rich.cell_len(row.interface), "─")
        left = f"{'└' if last else '├'}── {ports}{ends}── {row.interface} {_filled(row.machine, machine)}"
        yield from _beside(left, row.addresses, width, "        " if last else "│       ")
