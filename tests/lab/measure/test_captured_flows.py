"""Every flow that was recorded of a real daemon is measured in a lab of the same scenario, and is the same.

Same outcome, source address that the server saw, hooks in order, chains and verdicts in order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.captures import ENGINES, choice_of, configurations, flow_of, named, scenarios
from support.journeys import captured, essence

import netlab
from netlab.measure.session import Session
from netlab.measure.worker import ProxyEnds
from netlab.view.journey import summary

CONFIGURATIONS = configurations()


def test_there_are_captures_of_every_engine() -> None:
    assert {version for version, _ in CONFIGURATIONS} == set(ENGINES)


@pytest.mark.parametrize(("version", "configuration"), CONFIGURATIONS)
def test_flows_are_those_of_the_real_daemon(version: str, configuration: str) -> None:
    differences = [
        difference
        for file, lines in scenarios(version, configuration)
        for difference in measured(
            file,
            lines,
            engine_only=configuration in ("c18", "p18"),
            engine=ENGINES[version],
            choice=choice_of(version, configuration),
        )
    ]
    assert not differences, "\n".join(differences)


def measured(file: Path, lines: list[dict[str, Any]], *, engine_only: bool, **options: Any) -> list[str]:
    """What differs between recorded flows and those of a lab, in words."""
    with netlab.Lab(str(file), **options) as lab:
        plan = lab.plan
        services = {node.name for node in plan.nodes}
        flows = [flow_of(line, services) for line in lines]

        def pairs(node: str, since: int) -> list[ProxyEnds]:
            return [ProxyEnds.of(*pair[1:]) for pair in lab.client.pairs(node, since)[0]]

        with Session(lab.namespaces, lab.plan, pairs=pairs) as session:
            journeys = session.measure(flows)
    return [
        f"{summary(journey)}: {difference}"
        for line, journey in zip(lines, journeys, strict=True)
        for difference in (
            *named(captured(line), plan).differences(essence(journey, engine_only=engine_only)),
            *journey.notes,
        )
    ]
