"""Who can reach what, measured: the matrix of one lab, and of several variants side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.journey.matrix import Cell, Replicas, Selection, matrix, replicas
from netlab.lab.measuring import lent
from netlab.lab.owned import Lab
from netlab.model.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlab.lab.client import Client
    from netlab.measure.worker import RemoteSession
    from netlab.model.family import Family
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan

#: what makes two variants' cells the same question
Question = tuple[str, str, "Family"]


@dataclass(frozen=True, slots=True)
class Column:
    """One variant's answers. ``refusal`` says why it does not apply to this scenario, if it does not.

    ``replicas`` are those of which two were measured in place of all.
    """

    label: str
    answers: dict[Question, tuple[Cell, Journey]]
    refusal: str | None = None
    replicas: tuple[Replicas, ...] = ()


def question(cell: Cell) -> Question:
    """Origin, target as written, family."""
    return cell.flow.origin, cell.flow.to, cell.flow.family


def measure(
    client: Client,
    label: str = "",
    *,
    session: RemoteSession | None = None,
    selection: Selection | None = None,
) -> Column:
    """The matrix of a running lab, in the caller's session if there is one."""
    cells = matrix(client.plan, selection)
    folded = () if selection is None or selection.every_replica else tuple(replicas(client.plan))
    with lent(client, session) as using:
        journeys = using.measure([cell.flow for cell in cells])
    return Column(label, {question(c): (c, j) for c, j in zip(cells, journeys, strict=True)}, replicas=folded)


def column(label: str, make_plan: Callable[[], Plan], selection: Selection | None = None) -> Column:
    """Build a variant, measure it, take it down.

    What the variant refuses (a rule for a chain that it has not, a setting that it does not know) is its
    answer, not an error.
    """
    try:
        with Lab(plan=make_plan()) as lab:
            return measure(lab.client, label, selection=selection)
    except UsageError as error:
        return Column(label, {}, str(error))


def questions(columns: Sequence[Column]) -> list[Question]:
    """All questions that some column answers, in the order of the first that has them."""
    return list(dict.fromkeys(asked for column in columns for asked in column.answers))


def differs(columns: Sequence[Column], asked: Question) -> bool:
    """Whether the variants that apply give different answers, in what a caller notices."""
    found = {answer_key(c.answers.get(asked)) for c in columns if c.refusal is None}
    return len(found) > 1


def answer_key(answer: tuple[Cell, Journey] | None) -> tuple[str, ...] | None:
    """Outcome, path, and the source that the server saw."""
    if answer is None:
        return None
    journey = answer[1]
    return journey.outcome, journey.path, journey.sees.address if journey.sees else ""
