"""Lay out the report and fill its template: topology, matrix, journeys, and the rules that no flow met.

The page holds everything as HTML, so it can be read and printed without its script, which filters the table
and plays journeys. Its policy (CSP) allows its own style and script, by their hashes, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from markupsafe import Markup

from netlab.journey.matrix import differs, question, questions
from netlab.model.family import Family
from netlab.view.lab import remarks
from netlab.view.page.chains import Chains
from netlab.view.page.parts import (
    FILTERS,
    NAMED,
    Answer,
    FlowPart,
    LabPart,
    answer_of,
    environment,
    frame,
    lab_part,
    never,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.journey.matrix import Column, Question
    from netlab.model.plan import Plan
    from netlab.plan.live_rules import Rules


@dataclass(frozen=True, slots=True)
class Side:
    """What was measured of one lab or variant: its matrix, plan, and each host's rules afterwards.

    A variant that does not apply has a refusal in its ``column``, and no plan.
    """

    column: Column
    plan: Plan | None = None
    rules: Mapping[str, Rules] = field(default_factory=dict)


def report(sides: Sequence[Side], version: str) -> str:
    """The page of one or several labs, as HTML; ``version`` is netlab's."""
    columns = [side.column for side in sides]
    chains = [
        Chains(side.plan, side.rules, f"s{number}") if side.plan is not None else None
        for number, side in enumerate(sides)
    ]
    asked = questions(columns)
    keys = {one: f"f{number}" for number, one in enumerate(asked)}
    flows = [_flow(one, keys, sides, chains) for one in asked]
    labs = [_lab(side, number, chains[number]) for number, side in enumerate(sides)]
    page: str = environment().get_template("report.html").render(
        labs=labs, flows=flows, never=never, named=NAMED, version=version, several=len(sides) > 1, live=None,
        labels=[lab.label for lab in labs],
        title=", ".join(dict.fromkeys(side.plan.name for side in sides if side.plan is not None)),
        titles={flow.key: flow.title for flow in flows},
        choices={name: sorted({word for f in flows for word in f.choices(name)}) for name in FILTERS},
        **frame("report.js"),
    )  # fmt: skip
    return page


def _lab(side: Side, number: int, chains: Chains | None) -> LabPart:
    if side.plan is None or chains is None:
        return LabPart(side.column.label, "", Markup(""), Markup(""), [], None, side.column.refusal)
    lines = remarks(side.column.silent, side.column.unpublished)
    return lab_part(side.column.label or side.plan.name, side.plan, lines, chains, number)


def _flow(
    asked: Question, keys: Mapping[Question, str], sides: Sequence[Side], chains: Sequence[Chains | None]
) -> FlowPart:
    columns = [side.column for side in sides]
    cell = next(column.answers[asked][0] for column in columns if asked in column.answers)
    key = keys[asked]
    answers: list[Answer | None] = []
    for number, (side, known) in enumerate(zip(sides, chains, strict=True)):
        answer = side.column.answers.get(asked)
        if answer is None or known is None:
            answers.append(None)
            continue
        label, picture_key = side.column.label, f"{key}s{number}"
        answers.append(answer_of(answer[1], side.plan, known, key, label, picture_key))
    origin, target, family = question(cell)
    other = origin, target, Family.IPV4 if family is Family.IPV6 else Family.IPV6
    return FlowPart(
        key, origin, target, family.word, " ".join(filter(None, (cell.role, cell.publication))), answers,
        differs(columns, asked), keys.get(other, ""),
    )  # fmt: skip
