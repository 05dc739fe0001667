"""What was captured of real daemons: ``tests/data/captures``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

from netlab.model.family import Family
from netlab.model.flow import Flow, Target
from netlab.model.identifiers import digest
from netlab.model.plan import Plan
from support.journeys import Essence, spelt_out

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
#: The folder of each daemon's captures, and the engine that stands for it.
DAEMONS = {
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
#: ... and of each Podman, with netavark's firewall driver.
PODMAN = {
    "podman-4.3.1": "podman-4",
    "podman-5.4.2-iptables": "podman-5-iptables",
    "podman-5.4.2-nftables": "podman-5-nftables",
}
ENGINES = {**DAEMONS, **PODMAN}
#: Recordings of Podman in which the second network of a container was set up before the first.
MIRRORED = {("podman-5.4.2-nftables", "p09"), ("podman-4.3.1", "p09")}


def choice_of(version: str, configuration: str) -> int | None:
    """The way in which what Podman leaves to chance came out in a recording; None: as written."""
    return 2 if (version, configuration) in MIRRORED else None


#: Where IPv6 rules must be asked for.
OLD = ("20.10.24", "23.0.18", "24.0.9", "25.0.6", "26.1.5")


def scenario_file(daemon: str, config: str, kind: str = "flows") -> Path:
    """The scenario of a configuration, as each generation must be asked for it; ``kind``: flows or rules."""
    special = {"19.03.15": "1903", **dict.fromkeys(OLD, "old")}.get(daemon, "")
    chosen = CAPTURES / "scenarios" / f"{config}.{special}.{kind}.yaml"
    return chosen if chosen.exists() else CAPTURES / "scenarios" / f"{config}.{kind}.yaml"


def configurations() -> list[tuple[str, str]]:
    """(daemon, configuration) of every capture that has flows."""
    return sorted(
        (path.parent.parent.name, path.parent.name)
        for path in CAPTURES.glob("*/*/flows.jsonl")
        if path.stat().st_size > 0
    )


def recorded(version: str, configuration: str) -> list[dict[str, Any]]:
    """The flows of one capture, each with its legs spelt out."""
    text = (CAPTURES / version / configuration / "flows.jsonl").read_text()
    return spelt_out([json.loads(line) for line in text.splitlines()])


def flow_of(line: dict[str, Any], services: set[str]) -> Flow:
    """A recorded flow as a question to a lab that has these services."""
    match = re.fullmatch(r"\[?(.*?)\]?:(\d+)", line["dst"])
    assert match is not None
    address, port = match[1], int(match[2])
    origin = {"self": "httpd" if "httpd" in services else line["to"]}.get(line["from"], line["from"])
    via = "host" if line["to"].endswith("-routed") else None
    return Flow(origin, Target(address=address), Family.of(address), line["proto"], port, address, via)


def _chain(network: str) -> str:
    return sha512(network.encode()).hexdigest()[:13].upper()


def named(essence: Essence, plan: Plan) -> Essence:
    """A recording of Podman with the chains that the plan's networks have: the recorder pinned their ids."""
    text = "\n".join(essence.rules)
    for network in plan.networks:
        short = digest("network", plan.project, network.name, network.host)[:8]
        text = text.replace(f"nv_{sha256(network.key.encode()).hexdigest()[:8]}_", f"nv_{short}_")
        text = text.replace(_chain(network.key), _chain(network.name))
    return replace(essence, rules=tuple(text.split("\n")) if text else ())


def scenarios(version: str, configuration: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Each scenario of a configuration with its flows: some were recorded after a change of the firewall."""
    lines = recorded(version, configuration)
    later = [line for line in lines if line.get("note", "").startswith("after ufw")]
    yield scenario_file(version, configuration), [line for line in lines if line not in later]
    if later:
        yield scenario_file(version, configuration, "allowed.flows"), later
