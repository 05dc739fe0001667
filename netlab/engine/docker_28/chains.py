"""The daemon's chains, and the administrator's (setupIPChains, setupUserChain)."""

from __future__ import annotations

from netlab.engine.docker.chains import DOCKER, STAGE_1, STAGE_2, TO_LOCAL, USER, output_rule, skip_mirrored
from netlab.engine.docker.host_state import HostState
from netlab.engine.tables import Tables
from netlab.model.family import Family

FORWARD = "DOCKER-FORWARD"
BRIDGE = "DOCKER-BRIDGE"
CT = "DOCKER-CT"

#: Every chain but DOCKER-USER; DOCKER-FORWARD's jumps in order, each with its reason.
CHAINS = (DOCKER, FORWARD, BRIDGE, CT, STAGE_1, STAGE_2)
JUMPS = (
    (CT, "answers first"),
    (STAGE_1, "networks are isolated from each other"),
    (BRIDGE, "published ports"),
)


def start(state: HostState) -> None:
    """Fresh chains, at the first start and at every later one."""
    for family in state.families():
        remove_chains(state.tables[family], CHAINS)
        create_chains(state, state.tables[family], CHAINS, JUMPS)


def forward_policy(state: HostState, turned_on: bool) -> None:
    """FORWARD drops where the daemon itself turned forwarding on."""
    if turned_on and state.daemon.iptables and not state.daemon.ip_forward_no_drop:
        state.tables[Family.IPV4].policy("filter", "FORWARD", "DROP")


def remove_chains(tables: Tables, chains: tuple[str, ...]) -> None:
    """Empty what an earlier daemon left, and delete what nothing refers to."""
    tables.delete("nat", "PREROUTING", TO_LOCAL)
    for hairpin in (False, True):
        tables.delete("nat", "OUTPUT", output_rule(tables.family, hairpin))
    for table, chain in (("nat", DOCKER), *(("filter", chain) for chain in chains)):
        tables.flush(table, chain)
        tables.remove_chain(table, chain)


def create_chains(
    state: HostState, tables: Tables, chains: tuple[str, ...], jumps: tuple[tuple[str, str], ...]
) -> None:
    """Make the chains, and the jumps that do not depend on any network."""
    jump_to_nat(state, tables)
    for chain in chains:
        tables.new_chain("filter", chain)
    tables.move_to_top("filter", "FORWARD", f"-j {FORWARD}", "Docker's rules for forwarded packets")
    for chain, reason in reversed(jumps):
        tables.move_to_top("filter", FORWARD, f"-j {chain}", reason)


def jump_to_nat(state: HostState, tables: Tables) -> None:
    """Chain DOCKER in nat, and the jumps to it."""
    tables.new_chain("nat", DOCKER)
    tables.append(
        "nat", "PREROUTING", TO_LOCAL, "what is sent to an address of the host may be for a published port"
    )
    tables.append(
        "nat",
        "OUTPUT",
        output_rule(tables.family, hairpin=not state.daemon.userland_proxy),
        "what the host sends to itself may be for a published port",
    )
    skip_mirrored(state, tables)


def user_chain(state: HostState) -> None:
    """DOCKER-USER, always the first in FORWARD: what the administrator puts there comes before Docker's."""
    for family in state.families():
        tables = state.tables[family]
        tables.new_chain("filter", USER)
        if state.traits.user_chain_returns:
            reason = "the administrator's chain ends: on with Docker's rules"
            tables.append("filter", USER, "-j RETURN", reason)
        tables.move_to_top("filter", "FORWARD", f"-j {USER}", "the administrator's chain comes first")
