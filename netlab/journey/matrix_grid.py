"""A measured matrix as a grid: targets down, origins across, equal ones merged. Pure.

Origins with equal results share a column; the flows from a service to itself have their own column, so that
siblings can share one. Rows of one way in that differ only in port or family are merged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from netlab.journey.advise import stopped_by
from netlab.journey.fold import folded
from netlab.journey.matrix import Cell, Replicas
from netlab.model.family import Family
from netlab.model.journey import Journey
from netlab.model.outcome import UNKNOWN

Answers = Sequence[tuple[Cell, Journey]]
_Row = tuple[str, str, Family]  # service, target as written, family


@dataclass(frozen=True, slots=True)
class Answer:
    """The contents of a cell: ``seen`` is the client that the server saw, or empty; ``words`` are outcome and
    path.
    """

    outcome: str
    seen: str
    path: str
    stopped: str = ""

    def __str__(self) -> str:
        if self.outcome == "ok":
            return " ".join(filter(None, (self.seen, self.path)))
        return self.outcome + (f" [{self.stopped}]" if self.stopped else "")


@dataclass(frozen=True, slots=True)
class Row:
    """Targets of one way in that have the same results. ``answers``: one for each of the grid's columns.

    ``place`` is the target without its ports (``host``, ``web@default``); ``itself`` is the result of the
    flow from the service to its own port.
    """

    service: str
    place: str
    protocol: str
    ports: tuple[int, ...]
    families: tuple[Family, ...]
    publication: str
    answers: tuple[Answer | None, ...]
    itself: Answer | None

    @property
    def target(self) -> str:
        """``host:80/tcp``, ``host:[80,443]/tcp``, ``host/icmp``."""
        if not self.ports:
            return f"{self.place}/{self.protocol}"
        ports = ",".join(map(str, self.ports))
        return f"{self.place}:{ports if len(self.ports) == 1 else f'[{ports}]'}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Grid:
    """``origins``: the nodes that share each column."""

    origins: tuple[tuple[str, ...], ...]
    rows: tuple[Row, ...]


def answer(journey: Journey) -> Answer:
    """A journey in a cell's words. ``sender``: the server saw an address of the origin's own."""
    if journey.outcome in UNKNOWN:
        return Answer(journey.outcome, "", "")
    seen = ""
    if journey.sees is not None:
        seen = "sender" if journey.sees.node == journey.flow.origin else journey.sees.address
    stopped = stopped_by(journey)
    chain = stopped.chain if stopped is not None and journey.outcome != "ok" else None
    return Answer(journey.outcome, seen if journey.outcome == "ok" else "", journey.path, chain or "")


def grid(answers: Answers, replicas: Sequence[Replicas] = ()) -> Grid:
    """Merge a matrix into the fewest columns and rows without losing results. ``replicas`` share a name."""
    names = {member: group.name for group in replicas for member in group.members}
    table: dict[_Row, dict[str, Answer]] = {}
    itself: dict[_Row, Answer] = {}
    cells: dict[_Row, Cell] = {}
    for cell, journey in answers:
        row = (cell.service, cell.flow.to, cell.flow.family)
        cells[row] = cell
        found = table.setdefault(row, {})
        if cell.role == "self":
            itself[row] = answer(journey)
        else:
            found[cell.flow.origin] = answer(journey)
    columns = _columns(table, list(dict.fromkeys(cell.flow.origin for cell, _ in answers)))
    rows = [_row(cell, names, _across(table[row], columns), itself.get(row)) for row, cell in cells.items()]
    return Grid(columns, tuple(folded(rows, "families", "ports")))


def _row(
    cell: Cell, names: Mapping[str, str], answers: tuple[Answer | None, ...], itself: Answer | None
) -> Row:
    target, port = cell.flow.target, cell.flow.port
    if target.name is not None:
        target = replace(target, name=names.get(target.name, target.name))
    return Row(
        service=names.get(cell.service, cell.service),
        place=str(target),
        protocol=cell.flow.protocol,
        ports=() if port is None else (port,),
        families=(cell.flow.family,),
        publication=cell.publication,
        answers=answers,
        itself=itself,
    )


def _columns(table: dict[_Row, dict[str, Answer]], origins: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Groups of origins: any two in a group have the same results wherever both have one."""
    groups: list[list[str]] = []
    for origin in origins:
        if not any(origin in cells for cells in table.values()):
            continue
        for group in groups:
            if all(_alike(table, origin, other) for other in group):
                group.append(origin)
                break
        else:
            groups.append([origin])
    return tuple(map(tuple, groups))


def _alike(table: dict[_Row, dict[str, Answer]], one: str, other: str) -> bool:
    """Whether two origins get the same answers. Each alone may miss what leads to itself."""
    for (service, _, _), cells in table.items():
        mine, its = cells.get(one), cells.get(other)
        if mine != its and not (mine is None and service == one) and not (its is None and service == other):
            return False
    return True


def _across(cells: dict[str, Answer], columns: tuple[tuple[str, ...], ...]) -> tuple[Answer | None, ...]:
    return tuple(next((cells[name] for name in group if name in cells), None) for group in columns)
