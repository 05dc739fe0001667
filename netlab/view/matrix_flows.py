"""The matrix as a table and as JSON: a line a flow, a column a variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netlab.journey.advise import stopped_by
from netlab.journey.matrix import Column, answer_key, differs, questions
from netlab.model.outcome import UNKNOWN
from netlab.view import rich

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from netlab.journey.matrix import Cell
    from netlab.model.journey import Journey
    from netlab.model.journey_json import JourneyDocument
    from netlab.view.documents.matrix import MatrixDocument, MatrixFlowDocument, VariantDocument

_COLOURS = {"ok": "green", "timeout": "red", "unmeasured": "bold magenta", "unpredicted": "bold magenta"}


def table(columns: Sequence[Column], *, only_differences: bool = False) -> RenderableType:
    """One line a flow; a line that differs between the variants is marked."""
    found = rich.Table(box=rich.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    several = len(columns) > 1
    for title in (*(("",) if several else ()), "FROM", "", "TO", "", "FAMILY"):
        found.add_column(title, overflow="fold")
    for column in columns:
        found.add_column(column.label or "ANSWER", overflow="fold")
    last = ""
    for asked in questions(columns):
        marked = several and differs(columns, asked)
        if only_differences and not marked:
            continue
        cell = next(c.answers[asked][0] for c in columns if asked in c.answers)
        if last not in ("", asked[0]):
            found.add_section()
        last = asked[0]
        mark = [rich.Text("≠" if marked else "", style="bold yellow")] if several else []
        found.add_row(
            *mark,
            rich.Text(asked[0]),
            rich.Text(cell.role, style="dim"),
            rich.Text(asked[1]),
            rich.Text(cell.publication, style="dim"),
            rich.Text(asked[2].word),
            *[_answer(column, column.answers.get(asked)) for column in columns],
        )
    return found


def _answer(column: Column, answer: tuple[Cell, Journey] | None) -> Text:
    if answer is None:
        return rich.Text("does not apply" if column.refusal else "-", style="dim")
    return rich.Text(answer_words(answer[1]), style=_COLOURS.get(answer[1].outcome, "yellow"))


def answer_words(journey: Journey) -> str:
    """``198.51.100.2 forward`` if data came back (the source that the server saw), otherwise the outcome."""
    if journey.outcome in UNKNOWN:
        return f"{journey.outcome}: {journey.problem}"
    if journey.outcome == "no-route":
        return "no-route"
    first = journey.sees.address if journey.sees else journey.outcome
    words = f"{first} {journey.path}"
    if (stopped := stopped_by(journey)) is not None:
        words += f" [{stopped.chain}]"
    return words


def document(columns: Sequence[Column]) -> MatrixDocument:
    """The matrix as JSON: the variants, and each flow with each variant's answer."""
    flows: list[MatrixFlowDocument] = []
    for asked in questions(columns):
        cell = next(c.answers[asked][0] for c in columns if asked in c.answers)
        answers: dict[str, JourneyDocument | None] = {}
        for column in columns:
            answer = column.answers.get(asked)
            answers[column.label] = None if answer is None else answer[1].to_json()
        flows.append(
            {
                "from": asked[0],
                "to": asked[1],
                "family": asked[2].word,
                "role": cell.role,
                "way": cell.way,
                "published": cell.published,
                "differs": differs(columns, asked),
                "answers": answers,
            }
        )
    variants: list[VariantDocument] = [
        {"label": column.label, "refusal": column.refusal} for column in columns
    ]
    return {"variants": variants, "flows": flows}


def unmeasured(columns: Sequence[Column]) -> int:
    """How many answers could not be measured, or predicted."""
    answers = [answer for column in columns for answer in column.answers.values()]
    return sum(key is not None and key[0] in UNKNOWN for key in map(answer_key, answers))
