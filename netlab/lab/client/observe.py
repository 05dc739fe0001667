"""What others have made of a lab's hosts by now, for the next event to act upon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.kernel import process, sysctl
from netlab.lab.client.programs import collect
from netlab.model.errors import LabError
from netlab.model.family import FAMILIES
from netlab.model.observation import READ, Observation
from netlab.model.rules import NftTable

if TYPE_CHECKING:
    from netlab.lab.client.client import Client
    from netlab.model.plan import Node


def observe(client: Client) -> dict[str, Observation]:
    """The rules and settings of every host; raises LabError with a tool's message."""
    return {node.name: _read(client, node) for node in client.plan.nodes if node.kind == "host"}


def _read(client: Client, node: Node) -> Observation:
    tools = {family: f"{family.iptables}-save" for family in FAMILIES}
    rules = {family: _ask(client, node, tool) for family, tool in tools.items() if process.has(tool)}
    values = _ask(client, node, "cat", *(sysctl.path(key) for key in READ)).splitlines()
    tables = [(r.family, r.name) for r in node.rulesets if isinstance(r, NftTable)]
    there = _ask(client, node, "nft", "list", "tables").splitlines() if tables else []
    native = {
        (family, name): _ask(client, node, "nft", "-s", "list", "table", family, name)
        if f"table {family} {name}" in there
        else ""
        for family, name in tables
    }
    return Observation(rules, dict(zip(READ, values, strict=True)), native)


def _ask(client: Client, node: Node, *argv: str) -> str:
    done = collect(client, node.name, argv, cwd="/")
    if done.returncode != 0:
        raise LabError(f"{' '.join(argv[:2])} in {client.name}.{node.name}: {done.stderr.strip()}")
    return done.stdout
