"""Lay out the report and fill its template: topology, matrix, journeys, and the rules that no flow met.

The page holds everything as HTML, so it can be read and printed without its script, which filters the table
and plays journeys. Its policy (CSP) allows its own style and script, by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from netlab.journey.matrix import differs, question, questions
from netlab.journey.sentence import sentence
from netlab.model.family import Family
from netlab.model.shown import shown
from netlab.view.graph.svg import svg as topology_svg
from netlab.view.graph.topology import topology
from netlab.view.lab import remarks, summary
from netlab.view.matrix_flows import answer_words
from netlab.view.page.chains import Chains
from netlab.view.page.steps import Step, steps
from netlab.view.path.scene import picture
from netlab.view.path.svg import svg as path_svg
from netlab.view.path.words import outcome
from netlab.view.svg import style_sheet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.journey.matrix import Column, Question
    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.plan.live_rules import Rules

#: Before the body: what the script shows one at a time is not laid out first.
_EARLY = 'document.documentElement.classList.add("scripted")'
_FOLDER = Path(__file__).parent
#: how many of the flows that met a rule are named
_NAMED = 6


@dataclass(frozen=True, slots=True)
class Side:
    """What was measured of one lab or variant: its matrix, plan, and each host's rules afterwards.

    A variant that does not apply has a refusal in its ``column``, and no plan.
    """

    column: Column
    plan: Plan | None = None
    rules: Mapping[str, Rules] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Lab:
    """A side in the page; ``chains`` are those of its hosts, with the flows that met each rule."""

    label: str
    summary: str
    picture: Markup
    remarks: list[str]
    chains: Chains | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class _Answer:
    """One side's journey of a flow."""

    label: str
    words: str
    outcome: str
    look: str
    path: str
    sentence: str
    picture: Markup
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class _Flow:
    """A row of the matrix: ``answers`` has None where a side has no answer."""

    key: str
    origin: str
    target: str
    family: str
    kind: str
    differs: bool
    answers: list[_Answer | None]
    other: str  #: the key of the same flow over the other family, if there is one

    @property
    def title(self) -> str:
        """``client → host:80/tcp over IPv4``."""
        return f"{self.origin} → {self.target} over {'IPv6' if self.family == 'ipv6' else 'IPv4'}"

    def words(self, name: str) -> str:
        """The outcomes, or paths, of all sides, for the filters."""
        return " ".join(dict.fromkeys(getattr(one, name) for one in self.answers if one is not None))


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
    style = style_sheet() + _read("report.css")
    script = _read("report.js")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_finalize,
    )  # fmt: skip
    page: str = environment.get_template("report.html").render(
        labs=labs, flows=flows, never=_never, named=_NAMED, version=version, several=len(sides) > 1,
        title=", ".join(dict.fromkeys(side.plan.name for side in sides if side.plan is not None)),
        titles={flow.key: flow.title for flow in flows},
        choices={name: sorted({word for f in flows for word in _choice(f, name)}) for name in _FILTERS},
        style=Markup(style), script=Markup(script), early=Markup(_EARLY),  # noqa: S704 - netlab's own files
        style_hash=_hash(style), script_hash=_hash(script), early_hash=_hash(_EARLY),
    )  # fmt: skip
    return page


_FILTERS = ("origin", "target", "family", "outcome", "path")


def _choice(flow: _Flow, name: str) -> list[str]:
    if name in ("outcome", "path"):
        return flow.words(name).split()
    return [getattr(flow, name)]


def _finalize(value: object) -> object:
    """Text of scenarios and programs with control and invisible characters escaped, as in a terminal."""
    return shown(value) if type(value) is str else value


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an inline script or style (CSP 3, 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _never(chains: Chains) -> list[str]:
    """The chains that no flow traversed."""
    return [f"{chain.title} of {chain.host}" for chain in chains.listed if not chain.traversed]


def _lab(side: Side, number: int, chains: Chains | None) -> _Lab:
    plan = side.plan
    if plan is None:
        return _Lab(side.column.label, "", Markup(""), [], None, side.column.refusal)
    drawn = topology_svg(topology(plan), key=f"t{number}", styled=False)
    lines = list(remarks(side.column.silent, side.column.unpublished))
    # The drawing is netlab's own: an XML library has escaped every text in it.
    return _Lab(side.column.label or plan.name, summary(plan), Markup(drawn), lines, chains, None)  # noqa: S704


def _flow(
    asked: Question, keys: Mapping[Question, str], sides: Sequence[Side], chains: Sequence[Chains | None]
) -> _Flow:
    columns = [side.column for side in sides]
    cell = next(column.answers[asked][0] for column in columns if asked in column.answers)
    key = keys[asked]
    answers: list[_Answer | None] = []
    for number, (side, known) in enumerate(zip(sides, chains, strict=True)):
        answer = side.column.answers.get(asked)
        if answer is None or known is None or side.plan is None:
            answers.append(None)
            continue
        answers.append(_answer(answer[1], side, known, key, f"{key}s{number}"))
    origin, target, family = question(cell)
    other = origin, target, Family.IPV4 if family is Family.IPV6 else Family.IPV6
    return _Flow(
        key, origin, target, family.word, " ".join(filter(None, (cell.role, cell.publication))),
        differs(columns, asked), answers, keys.get(other, ""),
    )  # fmt: skip


def _answer(journey: Journey, side: Side, chains: Chains, key: str, picture_key: str) -> _Answer:
    for leg in (*journey.legs, *journey.replies):
        for visit in leg.hooks:
            for hit in visit.rules:
                chains.count(leg.node, hit, key)
    drawn = picture(journey, side.plan)
    svg = path_svg([(journey, drawn)], key=picture_key, of_page=True)
    look = {"ok": "ok", "timeout": "timeout", "unmeasured": "unmeasured"}.get(journey.outcome, "other")
    return _Answer(
        side.column.label, answer_words(journey), journey.outcome, look, journey.path,
        f"{outcome(journey)}. {sentence(journey)}", Markup(svg), list(steps(journey, drawn, chains)),  # noqa: S704
    )  # fmt: skip
