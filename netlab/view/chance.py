"""What depends on chance: flows whose answer is another one each time an engine does the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.journey.matrix import alike, differs, questions
from netlab.view.matrix_flows import answer_words

if TYPE_CHECKING:
    from netlab.journey.matrix import Column


def by_variant(columns: Sequence[Column]) -> dict[str, list[Column]]:
    """The columns of each variant, one for each way, by the variant's own label."""
    found: dict[str, list[Column]] = {}
    for column in columns:
        found.setdefault(column.label.rpartition("choice ")[0].rstrip(), []).append(column)
    return found


def counts(columns: Sequence[Column]) -> Iterator[str]:
    """For each variant, how many flows have another answer in some of its ways."""
    for label, ways in by_variant(columns).items():
        found = sum(differs(ways, asked) for asked in questions(ways))
        depend = "no flow depends" if not found else f"{found} flow{'s depend' if found > 1 else ' depends'}"
        words = f"{len(ways)} ways; {depend} on it" if len(ways) > 1 else "nothing that could be chosen"
        yield f"{label + ', ' if label else ''}left to chance: {words}"


def depending(columns: Sequence[Column]) -> Iterator[str]:
    """A line for each flow that depends on chance: its answers, each with the ways that give it."""
    for asked in questions(columns):
        if not differs(columns, asked):
            continue
        only = [
            replace(column, answers={asked: answer} if (answer := column.answers.get(asked)) else {})
            for column in columns
        ]
        answers = (
            f"{answer_words(one.answers[asked][1]) if one.answers else 'no such flow'} ({one.label})"
            for one in alike(only)
        )
        yield f"{asked[0]} -> {asked[1]}  {asked[2].word}: {'; '.join(answers)}"
