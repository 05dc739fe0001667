"""Every flow that was recorded of a real daemon is predicted from the plan of the same scenario alone.

Same outcome, source address that the server saw, hooks in order, chains and verdicts in order.
"""

from __future__ import annotations

import pytest
from support.captures import DAEMONS, configurations, flow_of, recorded, scenario_file
from support.journeys import captured, essence

import netlab
from netlab.predict.predictor import Predictor
from netlab.view.journey import summary

CONFIGURATIONS = [one for one in configurations() if one[0] in DAEMONS]


def test_there_are_captures_of_every_docker() -> None:
    assert {version for version, _ in CONFIGURATIONS} == set(DAEMONS)


@pytest.mark.parametrize(("version", "configuration"), CONFIGURATIONS)
def test_flows_are_those_of_the_real_daemon(version: str, configuration: str) -> None:
    lines = recorded(version, configuration)
    plan = netlab.load_plan([str(scenario_file(version, configuration))], engine=DAEMONS[version])
    services = {node.name for node in plan.nodes}
    predictor = Predictor.of(plan)
    differences = [
        f"{summary(journey)}: {difference}"
        for line in lines
        for journey in (predictor.journey(flow_of(line, services)),)
        for difference in captured(line).differences(essence(journey, engine_only=configuration == "c18"))
    ]
    assert not differences, "\n".join(differences)
