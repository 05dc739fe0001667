"""Which flows of the matrix differ because of what drift found: predicted, each finding by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netlab.journey.flow_diff import compare
from netlab.lab.prediction import predicted_column
from netlab.model.outcome import UNKNOWN
from netlab.twin.mended import mended_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.journey.flow_diff import FlowDiff
    from netlab.lab.twins import Twin
    from netlab.twin.finding import Finding

#: what each side is called
_WANTED, _FOUND = "as the engine would write it", "as found"


@dataclass(frozen=True, slots=True)
class Effect:
    """Flows that differ, and how many are not predicted on either side, so that nothing is known of them."""

    flows: FlowDiff
    unpredicted: int


@dataclass(frozen=True, slots=True)
class DriftFlows:
    """What all findings do: ``together``, from the host as it should be to the host as found.

    ``each`` is in the order of the findings: from the host with that one mended to the host as found. A flow
    that stays broken until several of them are mended is in none of these.
    """

    together: Effect
    each: tuple[Effect, ...]

    @property
    def of_several(self) -> int:
        """How many flows differ that no single finding changes."""
        alone = {change.cell.flow for one in self.each for change in one.flows.changes}
        return sum(change.cell.flow not in alone for change in self.together.flows.changes)


def drift_flows(twin: Twin, findings: Sequence[Finding]) -> DriftFlows:
    """Predict the matrix of the host as found, as it should be, and with each of the findings mended."""
    expected, found = twin.plans()
    now = predicted_column(_FOUND, found)
    plans = (mended_plan(found, one.mended, twin.facts) for one in findings)
    each = tuple(_effect(compare(predicted_column("mended", plan), now)) for plan in plans)
    return DriftFlows(_effect(compare(predicted_column(_WANTED, expected), now)), each)


def _effect(flows: FlowDiff) -> Effect:
    known = tuple(
        change
        for change in flows.changes
        if not all(side is not None and side.outcome in UNKNOWN for side in (change.before, change.after))
    )
    return Effect(replace(flows, changes=known), len(flows.changes) - len(known))
