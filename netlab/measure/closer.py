"""What a closer look is at: the nodes in which it is worth it, and the facts that it is read against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from netlab.journey.topology import Topology
from netlab.model.flow import Flow

#: Labs of so many nodes are looked at whole; of larger ones the hosts, and those that the flows concern.
_WHOLE: Final = 24


def closer(facts: Topology, flows: Sequence[Flow], namespaces: Mapping[str, int]) -> Topology:
    """The same facts, with the nodes to look at."""
    everybody = {facts.namespace(node) for nodes in facts.owners.values() for node in nodes}
    nodes = {node for node in everybody if node in namespaces}
    if len(nodes) > _WHOLE:
        concerned = {flow.origin for flow in flows} | {flow.via for flow in flows if flow.via is not None}
        concerned |= {owner for flow in flows for owner in facts.owners.get(flow.address, ())}
        concerned |= {flow.target.name for flow in flows if flow.target.name is not None}
        nodes &= {facts.namespace(node) for node in concerned}
    return replace(facts, looked_at=facts.hosts | nodes, traced={})
