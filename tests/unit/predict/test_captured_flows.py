"""Every flow that was recorded of a real daemon is predicted from the plan of the same scenario alone.

Same outcome, source address that the server saw, hooks in order, chains and verdicts in order.
"""

from __future__ import annotations

import pytest
from support.captures import ENGINES, choice_of, configurations, flow_of, named, scenarios
from support.journeys import captured, essence

import netlab
from netlab.predict.predictor import Predictor
from netlab.view.journey import summary

CONFIGURATIONS = configurations()


def test_there_are_captures_of_every_engine() -> None:
    assert {version for version, _ in CONFIGURATIONS} == set(ENGINES)


@pytest.mark.parametrize(("version", "configuration"), CONFIGURATIONS)
def test_flows_are_those_of_the_real_daemon(version: str, configuration: str) -> None:
    differences = []
    for file, lines in scenarios(version, configuration):
        choice = choice_of(version, configuration)
        plan = netlab.load_plan([str(file)], engine=ENGINES[version], choice=choice)
        services = {node.name for node in plan.nodes}
        predictor = Predictor.of(plan)
        for line in lines:
            journey = predictor.journey(flow_of(line, services))
            seen = essence(journey, engine_only=configuration in ("c18", "p18"))
            differences += [
                f"{summary(journey)}: {one}" for one in named(captured(line), plan).differences(seen)
            ]
    assert not differences, "\n".join(differences)
