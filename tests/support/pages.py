"""Reports of recorded journeys: the seed's, and one with hostile text wherever a page has text."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

import netlab
from netlab.journey.matrix import Column, matrix, question
from netlab.model.family import Family
from netlab.model.journey import HookVisit, Journey
from netlab.model.plan import Plan
from netlab.model.rules import IptablesRuleset
from netlab.plan.live_rules import NativeTable, Reasons, Rules, parse_save
from netlab.plan.render import restore_text
from netlab.view.page.report import Side, report
from support.recorded import JOURNEYS, SCENARIO

HOSTILE: Final = (
    '</script></title></style><img src=x onerror="pwned=1"><script>pwned=1</script>'
    "{{7*7}}\"' onload=pwned=1 &lt;"
)


def rules_of(plan: Plan) -> dict[str, Rules]:
    """The rules of a plan's hosts, as their tools would list them."""
    found = {}
    for node in plan.nodes:
        if node.kind == "host":
            saved = {
                one.family: tuple(parse_save(restore_text(one), one.family, Reasons(node)))
                for one in node.rulesets
                if isinstance(one, IptablesRuleset)
            }
            found[node.name] = Rules(node.name, saved, ())
    return found


def seed(label: str = "") -> Side:
    """The recorded matrix of scenarios/httpd.yaml."""
    plan = netlab.load_plan([SCENARIO])
    lines = JOURNEYS.read_text(encoding="utf-8").splitlines()
    recorded = {
        (one.flow.origin, one.flow.to, one.flow.family): one
        for one in map(Journey.from_json, map(json.loads, lines))
    }
    answers = {}
    for cell in matrix(plan):
        origin, target, family = question(cell)
        answers[origin, target, family] = cell, recorded[origin, target, family.word]
    return Side(Column(label, answers, silent=plan.silent), plan, rules_of(plan))


def hostile() -> Side:
    """The seed with hostile names, rules, reasons and programs."""
    side = seed(f"label{HOSTILE}")
    assert side.plan is not None
    answers = {
        (origin + HOSTILE, target, family): (cell, _hostile(journey))
        for (origin, target, family), (cell, journey) in side.column.answers.items()
    }
    (first, (cell, journey)), *_ = answers.items()
    answers[first] = cell, replace(journey, outcome="unmeasured", problem=HOSTILE)
    text = (
        "table inet evil {\n\tchain evil {\n\t\ttype filter hook input priority 0; policy accept;\n"
        f'\t\tcomment "{HOSTILE}"\n\t}}\n}}\n'
    )
    rules = {
        host: replace(found, native=(NativeTable("inet", HOSTILE, text),))
        for host, found in side.rules.items()
    }
    plan = replace(side.plan, name=HOSTILE)
    return Side(Column(side.column.label, answers, silent=(HOSTILE,)), plan, rules)


def _hostile(journey: Journey) -> Journey:
    flow = replace(journey.flow, origin=journey.flow.origin + HOSTILE, to=journey.flow.to + HOSTILE)
    legs = tuple(
        replace(leg, by=leg.by and leg.by + HOSTILE, hooks=tuple(map(_hostile_visit, leg.hooks)))
        for leg in journey.legs
    )
    return replace(journey, flow=flow, legs=legs, answered_by=HOSTILE)


def _hostile_visit(visit: HookVisit) -> HookVisit:
    hits = (replace(hit, rule=hit.rule and hit.rule + HOSTILE, reason=HOSTILE) for hit in visit.rules)
    return replace(visit, iif=f"eth{HOSTILE}", rules=tuple(hits))


def many() -> Side:
    """A matrix of 2,000 flows, made of the seed's without their paths, which filters do not read."""
    side = seed()
    flows = list(side.column.answers.items())
    answers = {}
    for number in range(2000):
        (origin, target, family), (cell, journey) = flows[number % len(flows)]
        asker = f"{origin}-{number}"
        cell = replace(cell, flow=replace(cell.flow, origin=asker))
        answers[asker, target, Family(family)] = cell, replace(journey, legs=())
    return Side(Column("", answers), side.plan, side.rules)


def few() -> Side:
    """The seed's answers from one origin: every kind of part that a page has, and a tenth of its elements."""
    side = seed()
    answers = {asked: one for asked, one in side.column.answers.items() if asked[0] == "client"}
    return Side(replace(side.column, answers=answers), side.plan, side.rules)


@cache
def written(*make: Callable[[], Side]) -> str:
    """The page of these sides; each page is written once in a process."""
    sides = [one() for one in make]
    if len(sides) > 1:
        sides = [replace(side, column=replace(side.column, label=str(n))) for n, side in enumerate(sides, 1)]
    return report(sides, "1")
