"""The matrix of one lab as a grid: who can reach what, on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.journey.matrix_grid import Answer, Grid, Row, grid
from netlab.model.family import FAMILIES
from netlab.view import rich

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from netlab.journey.matrix import Column, Replicas

_COLOURS = {"ok": "green", "timeout": "red", "unmeasured": "bold magenta"}
#: Between two columns.
_GAP = 3
_MEANINGS = {
    "sender": "the server saw the origin's own address",
    "forward": "through FORWARD",
    "proxy": "through INPUT and the userland proxy",
    "local": "to a socket of the host",
    "output": "sent by the host itself",
    "bridge": "switched by the bridge",
    "inside": "within the container",
    "timeout": "dropped or not answered",
    "refused": "a reset came back",
    "closed": "accepted, then closed without data",
    "unreachable": "an ICMP error came back",
    "no-route": "no packet left",
    "unmeasured": "could not be measured",
}


def report(column: Column, width: int) -> Iterator[RenderableType]:
    """The grid of one lab's answers for a screen of ``width`` columns, with its legend."""
    folded = grid(list(column.answers.values()), column.replicas)
    for one in tables(folded, column.replicas, width):
        yield one
        yield ""
    yield from legend(folded, column.replicas)


@dataclass(frozen=True, slots=True)
class _Column:
    """One column of the grid: its title, and what stands in each row."""

    title: str
    answers: tuple[Answer | None, ...]

    @property
    def least(self) -> int:
        """The width of its longest word, which is never broken."""
        return _longest(word for text in (self.title, *map(str, self.answers)) for word in text.split())


def tables(found: Grid, replicas: Sequence[Replicas], width: int) -> Iterator[RenderableType]:
    """The grid, as one table for as many columns as fit side by side in ``width``."""
    columns = _columns(found, replicas)
    targets = _longest(row.target for row in found.rows) + _GAP + _longest(map(_row_words, found.rows))
    while True:
        count, room = 0, width - targets
        while count < len(columns) and (count == 0 or columns[count].least + _GAP <= room):
            room -= columns[count].least + _GAP
            count += 1
        yield _table(found, columns[:count], fold=room < 0)
        columns = columns[count:]
        if not columns:
            return


def _columns(grid: Grid, replicas: Sequence[Replicas]) -> list[_Column]:
    found = [
        _Column(origin_words(names, replicas), tuple(row.answers[place] for row in grid.rows))
        for place, names in enumerate(grid.origins)
    ]
    if any(row.itself is not None for row in grid.rows):
        found.append(_Column("ITSELF", tuple(row.itself for row in grid.rows)))
    return found


def _longest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


def _table(grid: Grid, columns: Sequence[_Column], *, fold: bool) -> RenderableType:
    """``fold``: the screen is so narrow that words must be broken."""
    found = rich.Table(box=rich.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    found.add_column("TO", overflow="fold", no_wrap=not fold)
    found.add_column("", overflow="fold", no_wrap=not fold)
    for column in columns:
        least = None if fold else column.least
        found.add_column(rich.Text(column.title), overflow="fold", min_width=least)
    last = ""
    for number, row in enumerate(grid.rows):
        if last not in ("", row.service):
            found.add_section()
        last = row.service
        cells = (_cell(column.answers[number]) for column in columns)
        found.add_row(rich.Text(row.target), rich.Text(_row_words(row), style="dim"), *cells)
    return found


def origin_words(names: Sequence[str], replicas: Sequence[Replicas] = ()) -> str:
    """Origins that share a column: up to four by name, replicas by their service's and their number."""
    group_of = {
        member: f"{group.name} ×{len(group.members)}" for group in replicas for member in group.members
    }
    words = list(dict.fromkeys(group_of.get(name, name) for name in names))
    shown = ", ".join(words[:4])
    return shown if len(words) <= 4 else f"{shown} and {len(words) - 4} more"


def _row_words(row: Row) -> str:
    families = "" if len(row.families) == len(FAMILIES) else row.families[0].word
    return " ".join(filter(None, (families, "" if row.publication == "published" else row.publication)))


def _cell(answer: Answer | None) -> Text:
    if answer is None:
        return rich.Text("-", style="dim")
    return rich.Text(str(answer), style=_COLOURS.get(answer.outcome, "yellow"))


def legend(grid: Grid, replicas: Sequence[Replicas]) -> Iterator[str]:
    """What the words of this grid mean, and which replicas were not measured."""
    answers = [a for row in grid.rows for a in (*row.answers, row.itself) if a is not None]
    used = {word for a in answers for word in ((a.seen, a.path) if a.outcome == "ok" else (a.outcome,))}
    words = [f"{word}: {meaning}" for word, meaning in _MEANINGS.items() if word in used]
    if any(a.outcome == "ok" and a.seen not in ("", "sender") for a in answers):
        words.insert(0, "an address: the one that the server saw instead of the sender's")
    yield "; ".join(words)
    for group in replicas:
        yield (
            f"{group.name}: measured {' and '.join(group.measured)} of {len(group.members)} replicas; "
            "--all measures every one"
        )
