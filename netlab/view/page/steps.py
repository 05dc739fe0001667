"""A journey as the steps that a page plays: into a hook, rule after rule, and on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netlab.view.hits import decides, is_jump
from netlab.view.path.words import links

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.model.journey import HookVisit, Journey, RuleHit
    from netlab.view.page.chains import Chains
    from netlab.view.path.scene import Picture, Stage


@dataclass(frozen=True, slots=True)
class Step:
    """One step: its words, the hook's number in the picture, and the rule that the packet met.

    ``chain`` is the key of the chain in the page. It is empty for a step at which no chain was asked.
    ``rule`` is the number of the rule in the chain, or None for the chain's policy. ``decided`` says whether
    this step decided what became of the packet.
    """

    words: str
    stage: int
    chain: str = ""
    rule: int | None = None
    reason: str = ""
    decided: bool = False


def steps(journey: Journey, picture: Picture, chains: Chains) -> Iterator[Step]:
    """The steps of a journey, in the order of the packet."""
    visits = [(leg.node, visit) for leg in (*journey.legs, *journey.replies) for visit in leg.hooks]
    stages = [(scene.title, stage) for scene in picture.scenes for stage in scene.stages]
    number = 0
    for (node, visit), (title, stage) in zip(visits, stages, strict=True):
        number += 1
        yield from _stage(journey, chains, number, node, visit, f"{title}: {visit.hook.upper()}", stage)
    for visit, stage in zip(journey.switched, picture.switched, strict=True):
        number += 1
        yield from _stage(journey, chains, number, "", visit, f"bridge {visit.hook}", stage)


def _stage(
    journey: Journey, chains: Chains, number: int, node: str, visit: HookVisit, name: str, stage: Stage
) -> Iterator[Step]:
    where = f", {links(stage)}" if links(stage) else ""
    yield Step(f"{name}{where}: {stage.came.src} → {stage.came.dst}", number)
    for hit in visit.rules:
        chain = chains.of(node, hit)
        yield Step(
            _words(hit),
            number,
            chain.key if chain else "",
            chain.number_of(hit) if chain else None,
            hit.reason or "",
            decides(hit, visit, journey.decided_by),
        )
    if stage.changed:
        yield Step(f"rewritten to {stage.left.src} → {stage.left.dst}", number)


def _words(hit: RuleHit) -> str:
    where = f"{hit.family} {hit.table} {hit.chain}"
    if hit.rule is None:
        return f"{where}: {hit.verdict}"
    own = hit.rule.removeprefix(f"-A {hit.chain} ")
    return f"{where}: {own}" if is_jump(hit) else f"{where}: {own} ({hit.verdict})"
