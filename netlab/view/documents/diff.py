"""The JSON object of a comparison of two plans and their flows."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from netlab.journey.flow_diff import FlowChangeKind
from netlab.model.journey_json import JourneyDocument
from netlab.plan.diff import ChangeKind, Topic
from netlab.plan.diff_rules import RuleChangeKind
from netlab.view.documents.matrix import CellDocument


class DoesNotApplyDocument(TypedDict):
    """A line that the administrator would type, and that this side's chains cannot take."""

    node: str
    rule: str
    reason: str


class DoNotApplyDocument(TypedDict):
    """Such lines of each side."""

    before: list[DoesNotApplyDocument]
    after: list[DoesNotApplyDocument]


class SideNoteDocument(TypedDict):
    """Something that you should know about a plan."""

    position: str  #: `file:line:column`
    text: str


class NotesDocument(TypedDict):
    """Such notes about each side."""

    before: list[SideNoteDocument]
    after: list[SideNoteDocument]


class RefusalDocument(TypedDict):
    """A side that could not be built."""

    label: str
    reason: str


class FlowChangeDocument(CellDocument):
    """A flow whose answer differs."""

    kind: FlowChangeKind
    before: JourneyDocument | None  #: null: the flow does not exist
    after: JourneyDocument | None


class FlowDiffDocument(TypedDict):
    """What changes for those who use the lab."""

    refusals: list[RefusalDocument]
    same: int  #: how many flows stay as they are
    changes: list[FlowChangeDocument]


class PlacedRuleDocument(TypedDict):
    """A rule in its chain."""

    family: str  #: as nft writes it; `file` for an nftables file
    table: str
    chain: str
    rule: str
    reason: str


class RuleChangeDocument(TypedDict):
    """What happens to one rule of one host."""

    kind: RuleChangeKind
    node: str
    before: PlacedRuleDocument | None
    after: PlacedRuleDocument | None


class ChangeDocument(TypedDict):
    """A difference that is no rule. `before` and `after` are its properties in words."""

    kind: ChangeKind
    topic: Topic
    node: str  #: empty for the whole lab
    name: str
    before: dict[str, str] | None
    after: dict[str, str] | None
    reason: str


class DiffDocument(TypedDict):
    """What changes from one side to the other."""

    before: str  #: the label of the first side
    after: str  #: the label of the second side
    does_not_apply: DoNotApplyDocument
    notes: NotesDocument
    flows: FlowDiffDocument | None  #: null with `--plan-only`
    rules: list[RuleChangeDocument]
    rules_that_stay: int
    changes: list[ChangeDocument]
    by_chance: NotRequired[list[str]]  #: with `--choice all`: flows that depend on chance, in words
