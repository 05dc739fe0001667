"""Which nodes the wide instrument covers, and the facts that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from netlab.journey.topology import Topology
from netlab.model.flow import Flow

#: Labs with up to this many nodes are covered completely; in larger ones, the hosts and the nodes of the
#: flows are.
_WHOLE: Final = 24


def closer(facts: Topology, flows: Sequence[Flow], namespaces: Mapping[str, int]) -> Topology:
    """The same facts, with the nodes to cover."""
    everybody = {facts.namespace(node) for nodes in facts.owners.values() for node in nodes}
    nodes = {node for node in everybody if node in namespaces}
    if len(nodes) > _WHOLE:
        concerned = {flow.origin for flow in flows} | {flow.via for flow in flows if flow.via is not None}
        concerned |= {owner for flow in flows for owner in facts.owners.get(flow.address, ())}
        concerned |= {flow.target.name for flow in flows if flow.target.name is not None}
        nodes &= {facts.namespace(node) for node in concerned}
    return replace(facts, looked_at=facts.hosts | facts.programs.keys() | nodes, traced={})
