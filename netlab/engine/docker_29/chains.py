"""The daemon's chains, and the administrator's: DOCKER-INTERNAL has replaced the isolation stages."""

from __future__ import annotations

from netlab.engine.docker.chains import DOCKER
from netlab.engine.docker.host_state import HostState
from netlab.engine.docker_28.chains import BRIDGE, CT, FORWARD, create_chains, remove_chains

INTERNAL = "DOCKER-INTERNAL"

#: Every chain but DOCKER-USER; DOCKER-FORWARD's jumps in order, each with its reason.
CHAINS = (DOCKER, FORWARD, BRIDGE, CT, INTERNAL)
JUMPS = (
    (CT, "answers first"),
    (INTERNAL, "internal networks reach nothing outside, and nothing outside reaches them"),
    (BRIDGE, "published ports"),
)


def start(state: HostState) -> None:
    """Fresh chains, at the first start and at every later one."""
    for family in state.families():
        remove_chains(state.tables[family], CHAINS)
        create_chains(state, state.tables[family], CHAINS, JUMPS)


def leave(state: HostState) -> None:
    """What the nftables backend cleans up: all chains but DOCKER-USER, and FORWARD keeps its policy."""
    for family in state.families():
        tables = state.tables[family]
        tables.delete("filter", "FORWARD", f"-j {FORWARD}")
        remove_chains(tables, CHAINS)
