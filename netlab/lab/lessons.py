"""Lessons in a lab: which flows each step measures, and whether the labs allow them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netlab.lab.load import load_scenario
from netlab.lab.stages import stages
from netlab.lesson.lesson import Build, Cost, Measure, Predict, Task
from netlab.model.errors import UsageError
from netlab.model.near import nearest
from netlab.model.problem import Problem, ScenarioError
from netlab.plan import make
from netlab.plan.change import History

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from netlab.journey.expand import Claim
    from netlab.lab.options import ScenarioOptions
    from netlab.lesson.lesson import Lesson, Step
    from netlab.model.expectation import Expectation
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Part:
    """A lab of a lesson, and the steps in it. ``claims``: expectation (by ``id``) → its flows."""

    build: Build
    scenario: Scenario
    plan: Plan
    steps: tuple[Step, ...]
    claims: Mapping[int, Sequence[Claim]]


def prepare(lesson: Lesson, gallery: Mapping[str, str], folder: str) -> list[Part]:
    """Plan every lab of a lesson, and find the flows of its steps. Nothing is built.

    ``gallery``: the scenarios by name, each with its path. ``folder``: that of the lesson, whose own
    scenarios come first. Raises ScenarioError for a flow, a name or an event without meaning, at its place in
    the lesson.
    """
    parts: list[tuple[Build, list[Step]]] = []
    for step in lesson.steps:
        if isinstance(step, Build):
            parts.append((step, []))
        else:
            parts[-1][1].append(step)
    return [_part(build, tuple(steps), gallery, folder) for build, steps in parts]


def _part(build: Build, steps: tuple[Step, ...], gallery: Mapping[str, str], folder: str) -> Part:
    options: ScenarioOptions = {"daemon": build.daemon}
    if build.engine is not None:
        options["engine"] = build.engine
    if build.firewall is not None:
        options["firewall"] = build.firewall
    try:
        scenario = load_scenario([_file(build, gallery, folder)], **options)
        plan = replace(make(scenario), expect=())
    except ScenarioError:
        raise
    except UsageError as error:
        raise ScenarioError([Problem(build.position, str(error))]) from None
    asked = replace(plan, expect=tuple(one for step in steps for one in expectations(step)))
    found: dict[int, list[Claim]] = {}
    for stage in stages(asked, History.of(scenario)):
        for claim in stage.claims:
            found.setdefault(id(claim.expectation), []).append(claim)
    return Part(build, scenario, plan, steps, found)


def _file(build: Build, gallery: Mapping[str, str], folder: str) -> str:
    own = os.path.realpath(os.path.join(folder, build.scenario))
    if os.path.isfile(own) and os.path.dirname(own) == os.path.realpath(folder):
        return own
    name = build.scenario.removesuffix(".yaml")
    if name in gallery:
        return gallery[name]
    near = nearest(name, gallery)
    more = f" (did you mean {near}?)" if near else "; netlab gallery lists its scenarios"
    what = f"neither the lesson's folder nor the gallery has a scenario {build.scenario!r}{more}"
    raise ScenarioError([Problem(build.position, what)])


def expectations(step: Step) -> tuple[Expectation, ...]:
    """What a step measures, in order."""
    match step:
        case Measure() | Task():
            return step.expectations
        case Predict():
            return tuple(choice.expectation for choice in step.choices)
        case Cost():
            return (step.expectation,)
        case _:
            return ()
