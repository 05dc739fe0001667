"""What a page of journeys is made of: labs, flows, their answers; and the templates that draw them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from netlab.journey.sentence import sentence
from netlab.model.shown import shown
from netlab.view.graph.narrow import narrow_svg
from netlab.view.graph.svg import svg as topology_svg
from netlab.view.graph.topology import topology
from netlab.view.lab import summary
from netlab.view.matrix_flows import answer_words
from netlab.view.page.steps import Step, steps
from netlab.view.path.scene import picture
from netlab.view.path.svg import svg as path_svg
from netlab.view.path.words import outcome
from netlab.view.svg import style_sheet

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netlab.model.journey import Journey
    from netlab.model.plan import Plan
    from netlab.view.page.chains import Chains

#: Before the body: what the script shows one at a time is not laid out first.
_EARLY: Final = 'document.documentElement.classList.add("scripted")'
_FOLDER: Final = Path(__file__).parent
#: how many of the flows that met a rule are named
NAMED: Final = 6
#: what the matrix is filtered by
FILTERS: Final = ("origin", "target", "family", "outcome", "path")


@dataclass(frozen=True, slots=True)
class LabPart:
    """A lab in the page; ``chains`` are those of its hosts, with the flows that met each rule."""

    label: str
    summary: str
    picture: Markup
    narrow: Markup  #: the same drawing for a narrow screen
    remarks: list[str]
    chains: Chains | None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One lab's journey of a flow."""

    label: str
    words: str
    outcome: str
    look: str
    path: str
    sentence: str
    picture: Markup
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class FlowPart:
    """A row of the matrix: ``answers`` has None where a lab has no answer."""

    key: str
    origin: str
    target: str
    family: str
    kind: str
    answers: Sequence[Answer | None]
    differs: bool = False
    other: str = ""  #: the key of the same flow over the other family, if there is one

    @property
    def title(self) -> str:
        """``client → host:80/tcp over IPv4``."""
        return f"{self.origin} → {self.target} over {'IPv6' if self.family == 'ipv6' else 'IPv4'}"

    def words(self, name: str) -> str:
        """The outcomes, or paths, of all labs, for the filters."""
        return " ".join(dict.fromkeys(getattr(one, name) for one in self.answers if one is not None))

    def choices(self, name: str) -> list[str]:
        """What a filter can choose it by."""
        return self.words(name).split() if name in ("outcome", "path") else [getattr(self, name)]


def lab_part(label: str, plan: Plan, remarks: Iterable[str], chains: Chains, number: int = 0) -> LabPart:
    """A lab with the drawing of its topology; ``number`` keeps the names in several drawings apart."""
    found = topology(plan)
    # The drawings are netlab's own: an XML library has escaped every text in them.
    drawn = Markup(topology_svg(found, key=f"t{number}", styled=False))  # noqa: S704
    narrow = Markup(narrow_svg(found, key=f"n{number}", styled=False))  # noqa: S704
    return LabPart(label, summary(plan), drawn, narrow, list(remarks), chains)


def answer_of(
    journey: Journey, plan: Plan | None, chains: Chains, key: str, label: str = "", picture_key: str = ""
) -> Answer:
    """A journey as the answer to the flow ``key``, which is counted at the rules that it met."""
    for leg in (*journey.legs, *journey.replies):
        for visit in leg.hooks:
            for hit in visit.rules:
                chains.count(leg.node, hit, key)
    drawn = picture(journey, plan)
    svg = path_svg([(journey, drawn)], key=picture_key or key, of_page=True)
    look = {"ok": "ok", "timeout": "timeout", "unmeasured": "unmeasured"}.get(journey.outcome, "other")
    return Answer(
        label, answer_words(journey), journey.outcome, look, journey.path,
        f"{outcome(journey)}. {sentence(journey)}", Markup(svg), list(steps(journey, drawn, chains)),  # noqa: S704
    )  # fmt: skip


def never(chains: Chains) -> list[str]:
    """The chains that no flow traversed."""
    return [f"{chain.title} of {chain.host}" for chain in chains.listed if not chain.traversed]


def environment() -> Environment:
    """The templates of this folder; every text in them is escaped."""
    return Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, finalize=_finalize,
    )  # fmt: skip


def frame(*scripts: str) -> dict[str, Any]:
    """The style and script of a page, as its template has them, with the hashes that its policy allows."""
    style = style_sheet() + _read("report.css")
    script = "\n".join(map(_read, scripts))
    texts = {"style": style, "script": script, "early": _EARLY}
    hashes = {f"{name}_hash": _hash(text) for name, text in texts.items()}
    return {**{name: Markup(text) for name, text in texts.items()}, **hashes}  # noqa: S704 - netlab's own files


def _finalize(value: object) -> object:
    """Text of scenarios and programs with control and invisible characters escaped, as in a terminal."""
    return shown(value) if type(value) is str else value


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an inline script or style (CSP 3, 2.3.1)."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
