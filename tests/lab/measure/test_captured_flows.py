"""Every flow that was recorded of a real daemon is measured in a lab of the same scenario, and is the same.

Same outcome, source address that the server saw, hooks in order, chains and verdicts in order.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.journeys import captured, essence, spelt_out

import netlab
from netlab.measure.session import Session
from netlab.measure.worker import Pair
from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.view.journey import summary

CAPTURES = Path(__file__).parents[2] / "data" / "captures"
ENGINES = {
    "19.03.15": "docker-19.03",
    "20.10.24": "docker-20.10",
    "23.0.18": "docker-23",
    "24.0.9": "docker-24",
    "25.0.6": "docker-25",
    "26.1.5": "docker-26",
    "27.5.1": "docker-27",
    "28.0.0": "docker-28.0.0",
    "28.0.1": "docker-28.0.1",
    "28.1.1": "docker-28.1.1",
    "28.5.2": "docker-28",
    "29.0.0": "docker-29.0.0",
    "29-iptables": "docker-29",
    "29-nftables": "docker-29-nftables",
}
CONFIGURATIONS = sorted(
    (path.parent.parent.name, path.parent.name)
    for path in CAPTURES.glob("*/*/flows.jsonl")
    if path.stat().st_size > 0
)


def scenario(version: str, configuration: str) -> Path:
    """The scenario of a configuration, as each generation must be asked for it."""
    kinds = [""]
    if version == "19.03.15":
        kinds.insert(0, ".1903")
    elif version in ("20.10.24", "23.0.18", "24.0.9", "25.0.6", "26.1.5"):
        kinds.insert(0, ".old")
    paths = [CAPTURES / "scenarios" / f"{configuration}{kind}.flows.yaml" for kind in kinds]
    return next(path for path in paths if path.exists())


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
    assert {version for version, _ in CONFIGURATIONS} == set(ENGINES)


@pytest.mark.parametrize(("version", "configuration"), CONFIGURATIONS)
def test_flows_are_those_of_the_real_daemon(version: str, configuration: str) -> None:
    lines = recorded(version, configuration)
    with netlab.Lab(str(scenario(version, configuration)), engine=ENGINES[version]) as lab:
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
