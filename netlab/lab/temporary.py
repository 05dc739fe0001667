"""Labs for one measurement: build, measure, take down (verify, matrix, diff)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netlab.exposure.verdict import ExposureVerdict, judged
from netlab.journey.expect import Verdict
from netlab.journey.flow_diff import FlowDiff, compare
from netlab.journey.matrix import Column, Selection
from netlab.lab.client.client import Client
from netlab.lab.client.instrument import measure_matrix
from netlab.lab.client.instrument import measure_matrix as ask
from netlab.lab.client.process import ending
from netlab.lab.client.rules import read_rules
from netlab.lab.lab import Lab
from netlab.lab.prediction import predicted_column
from netlab.lab.stages import stages
from netlab.model.errors import UsageError
from netlab.plan import make
from netlab.plan.change import History
from netlab.plan.diff import applicable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario
    from netlab.plan.live_rules import Rules

    #: a matrix, the plan (None: the variant refused something), and each host's rules after the measurement
    Observed = tuple[Column, Plan | None, dict[str, Rules]]


def verify(
    plan: Plan,
    scenario: Scenario,
    *,
    tell: Callable[[], None] = lambda: None,
    warn: Callable[[str], None] = lambda _: None,
) -> list[Verdict | ExposureVerdict]:
    """Build the plan of a scenario, check its expectations, with the events in between, and take it down.

    What is expected of all packets comes first, because events may change it.

    ``tell`` is called after each measured flow, ``warn`` with what you should know of the lab at its end. A
    plan without expectations is not built. Raises UsageError for an expectation without meaning, LabError
    and MachineError.
    """
    if not plan.expect and not plan.exposures:
        return []
    stages(plan, History.of(scenario))  # their errors are reported before anything is built
    for one in plan.exposures:
        judged(plan, one)
    with Lab(plan=plan, scenario=scenario) as lab:
        found: list[Verdict | ExposureVerdict] = [*lab.verify_exposures(), *lab.verify(tell=tell)]
        for process in lab.client.status()["processes"]:
            if process["kind"] == "command" and process["returncode"] is not None:
                warn(f"the program of {process['node']} has ended ({ending(process['returncode'])})")
        return found


def predict_flows(sides: Sequence[tuple[str, Plan]]) -> FlowDiff:
    """Predict every flow of both plans, and compare the results."""
    before, after = (predicted_column(label, plan) for label, plan in sides)
    return compare(before, after)


def side_column(label: str, plan: Plan, origin: Scenario | Client) -> Column:
    """Every flow of one side of a comparison: a running lab, or a plan and its scenario.

    The latter is built without those of the administrator's rules that its chains cannot take.
    """
    if isinstance(origin, Client):
        return ask(origin, label)
    return _column(label, lambda: (applicable(plan), origin), None)


def column(label: str, read: Callable[[], Scenario], selection: Selection | None = None) -> Column:
    """Build the variant that ``read`` gives, measure it, and take it down.

    If the variant refuses something (a rule for a missing chain, an unknown setting), this is its result, not
    an error.
    """

    def planned() -> tuple[Plan, Scenario]:
        scenario = read()
        return make(scenario), scenario

    return _column(label, planned, selection)


def _column(label: str, planned: Callable[[], tuple[Plan, Scenario]], selection: Selection | None) -> Column:
    try:
        plan, scenario = planned()
        with Lab(plan=plan, scenario=scenario) as lab:
            return measure_matrix(lab.client, label, selection=selection)
    except UsageError as error:
        return Column(label, {}, str(error))


def observe(client: Client, label: str, selection: Selection | None = None) -> Observed:
    """The matrix of a running lab, its plan, and the rules of each host after the measurement."""
    column = measure_matrix(client, label, selection=selection)
    hosts = [node.name for node in client.plan.nodes if node.kind == "host"]
    return column, client.plan, {host: read_rules(client, host) for host in hosts}


def observed(label: str, make_plan: Callable[[], Plan], selection: Selection | None = None) -> Observed:
    """Build a variant, :func:`observe` it, and take it down; a refusal is a result, as for :func:`column`."""
    try:
        plan = make_plan()
        with Lab(plan=plan) as lab:
            column, found, rules = observe(lab.client, label, selection)
            return column, None if found is None else replace(found, name=plan.name), rules
    except UsageError as error:
        return Column(label, {}, str(error)), None, {}
