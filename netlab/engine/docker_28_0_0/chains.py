"""The daemon's chains and its jumps in FORWARD, which ask a set of its networks' subnets (setupIPChains)."""

from __future__ import annotations

from netlab.engine.docker.chains import DOCKER, STAGE_1, STAGE_2
from netlab.engine.docker.host_state import HostState
from netlab.engine.docker_28.chains import jump_to_nat, remove_chains
from netlab.model.family import Family

CHAINS = (DOCKER, STAGE_1, STAGE_2)
#: The subnets of all networks that are not internal.
SETS = {Family.IPV4: "docker-ext-bridges-v4", Family.IPV6: "docker-ext-bridges-v6"}


def jumps(family: Family) -> tuple[tuple[str, str], ...]:
    """FORWARD's rules in order, after DOCKER-USER, each with its reason."""
    within = f"-m set --match-set {SETS[family]} dst"
    return (
        (f"{within} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "answers first"),
        (f"-j {STAGE_1}", "networks are isolated from each other"),
        (f"{within} -j {DOCKER}", "published ports"),
    )


def start(state: HostState) -> None:
    """Fresh chains and sets, at the first start and at every later one."""
    for family in state.families():
        tables = state.tables[family]
        remove_chains(tables, CHAINS)
        state.ip_sets[family][SETS[family]] = {}
        jump_to_nat(state, tables)
        for chain in CHAINS:
            tables.new_chain("filter", chain)
        for text, reason in reversed(jumps(family)):
            tables.move_to_top("filter", "FORWARD", text, reason)
