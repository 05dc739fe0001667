"""Two columns of a matrix → which flows open, close, or take another path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from netlab.journey.matrix import Column, Question, differs, questions
from netlab.model.outcome import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.journey.matrix import Cell
    from netlab.model.journey import Journey


FlowChangeKind = Literal[
    "closes", "opens", "path", "source", "otherwise", "disappears", "appears", "unmeasured"
]
#: In the order of importance, with the meaning of each.
KINDS: dict[FlowChangeKind, str] = {
    "closes": "flows that close",
    "opens": "flows that open",
    "path": "flows that take another path",
    "source": "flows whose server sees another source address",
    "otherwise": "flows that fail in another way",
    "disappears": "flows that no longer exist",
    "appears": "flows that did not exist before",
    "unmeasured": "flows that could not be measured or predicted",
}


@dataclass(frozen=True, slots=True)
class FlowChange:
    """One flow with different results; None means that the flow does not exist on this side."""

    kind: FlowChangeKind
    cell: Cell
    before: Journey | None
    after: Journey | None


@dataclass(frozen=True, slots=True)
class FlowDiff:
    """What changes for those who use the lab. ``same`` counts the flows that stay as they are.

    ``refusals``: (label, why) of a side that could not be built, and so was not measured.
    """

    changes: tuple[FlowChange, ...]
    same: int
    refusals: tuple[tuple[str, str], ...] = ()

    def of(self, kind: FlowChangeKind) -> tuple[FlowChange, ...]:
        """The changes of one kind."""
        return tuple(change for change in self.changes if change.kind == kind)


def compare(before: Column, after: Column) -> FlowDiff:
    """The answers of two columns side by side; nothing of a side that was refused."""
    refusals = tuple((side.label, side.refusal) for side in (before, after) if side.refusal is not None)
    if refusals:
        return FlowDiff((), 0, refusals)
    changes = list(_changes(before, after))
    order = list(KINDS)
    changes.sort(key=lambda change: order.index(change.kind))
    return FlowDiff(tuple(changes), len(questions((before, after))) - len(changes))


def _changes(before: Column, after: Column) -> Iterator[FlowChange]:
    for asked in questions((before, after)):
        old, new = before.answers.get(asked), after.answers.get(asked)
        found = old or new
        assert found is not None
        kind = _kind(before, after, asked)
        if kind is not None:
            yield FlowChange(kind, found[0], old and old[1], new and new[1])


def _kind(before: Column, after: Column, asked: Question) -> FlowChangeKind | None:
    old, new = before.answers.get(asked), after.answers.get(asked)
    if any(answer is not None and answer[1].outcome in UNKNOWN for answer in (old, new)):
        return "unmeasured"
    if not differs((before, after), asked):
        return None
    if old is None or new is None:
        return "appears" if old is None else "disappears"
    was, becomes = old[1].outcome == "ok", new[1].outcome == "ok"
    if was != becomes:
        return "opens" if becomes else "closes"
    if not was:
        return "otherwise"
    return "path" if old[1].path != new[1].path else "source"
