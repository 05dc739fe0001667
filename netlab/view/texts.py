"""Journeys and matrices as the text that the command line prints, for ``str()`` and for error messages."""

from __future__ import annotations

from functools import partial
from io import StringIO
from typing import TYPE_CHECKING

from netlab.model.text import show_with
from netlab.view import graph, path
from netlab.view.console import console
from netlab.view.journey import journey_view
from netlab.view.lab import remarks
from netlab.view.matrix_grid import report

if TYPE_CHECKING:
    from netlab.journey.matrix import Column
    from netlab.model.journey import Journey


def journey_text(journey: Journey) -> str:
    """What ``netlab probe`` prints."""
    text = StringIO()
    console(text).print(journey_view(journey))
    return text.getvalue().rstrip()


def column_text(column: Column) -> str:
    """What ``netlab matrix`` prints of one lab."""
    text = StringIO()
    screen = console(text)
    for part in report(column, screen.width):
        screen.print(part)
    for line in remarks(column.silent, column.unpublished):
        screen.print(line)
    lines = (line.rstrip() for line in text.getvalue().splitlines())
    return "\n".join(lines).rstrip()


def register() -> None:
    """Let ``str()`` of a journey and of a matrix be these texts, and plans be drawn."""
    show_with("Journey", journey_text)
    show_with("Column", column_text)
    show_with("Journey", lambda journey, plan: path.svg([journey], plan), "svg")
    for form in graph.FORMS:
        show_with("Plan", partial(graph.draw, form=form), f"graph-{form}")
