"""Every flow that was recorded of a real daemon is measured in a lab of the same scenario, and is the same.

Same outcome, source address that the server saw, hooks in order, chains and verdicts in order.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support.captures import CAPTURES, DAEMONS, scenario_file
from support.journeys import captured, essence, spelt_out

import netlab
from netlab.measure.session import Session
from netlab.measure.worker import Pair
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.view.journey import summary

CONFIGURATIONS = sorted(
    (path.parent.parent.name, path.parent.name)
    for path in CAPTURES.glob("*/*/flows.jsonl")
    if path.stat().st_size > 0
)


def recorded(version: str, configuration: str) -> list[dict[str, Any]]:
    text = (CAPTURES / version / configuration / "flows.jsonl").read_text()
    return spelt_out([json.loads(line) for line in text.splitlines()])


def flow_of(line: dict[str, Any], services: set[str]) -> Flow:
    match = re.fullmatch(r"\[?(.*?)\]?:(\d+)", line["dst"])
    assert match is not None
    address, port = match[1], int(match[2])
    origin = {"self": "httpd" if "httpd" in services else line["to"]}.get(line["from"], line["from"])
    via = "host" if line["to"].endswith("-routed") else None
    return Flow(origin, Target(address=address), Family.of(address), line["proto"], port, address, via)


def test_there_are_captures_of_every_engine() -> None:
    assert {version for version, _ in CONFIGURATIONS} == set(DAEMONS)


@pytest.mark.parametrize(("version", "configuration"), CONFIGURATIONS)
def test_flows_are_those_of_the_real_daemon(version: str, configuration: str) -> None:
    lines = recorded(version, configuration)
    with netlab.Lab(str(scenario_file(version, configuration)), engine=DAEMONS[version]) as lab:
        services = {node.name for node in lab.plan.nodes}
        flows = [flow_of(line, services) for line in lines]

        def pairs(node: str, since: int) -> list[Pair]:
            return [Pair.of(*pair[1:]) for pair in lab.client.pairs(node, since)[0]]

        with Session(lab.namespaces, lab.plan, pairs=pairs) as session:
            journeys = session.measure(flows)
    differences = [
        f"{summary(journey)}: {difference}"
        for line, journey in zip(lines, journeys, strict=True)
        for difference in (
            *captured(line).differences(essence(journey, engine_only=configuration == "c18")),
            *journey.notes,
        )
    ]
    assert not differences, "\n".join(differences)
