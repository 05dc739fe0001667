"""The daemon's chains, and the administrator's (setupIPChains, arrangeUserFilterRule)."""

from __future__ import annotations

from netlab.engine.docker.chains import DOCKER, STAGE_1, STAGE_2, TO_LOCAL, USER, output_rule, skip_mirrored
from netlab.engine.docker.host_state import HostState
from netlab.engine.tables import Tables
from netlab.model.family import Family


def start(state: HostState) -> None:
    """Fresh chains, at the first start and at every later one."""
    for family in state.families():
        _remove(state.tables[family])
    for family in state.families():
        _create(state.tables[family])
        skip_mirrored(state, state.tables[family])


def forward_policy(state: HostState, turned_on: bool) -> None:
    """FORWARD drops where the daemon itself turned forwarding on; for IPv6 (ip6tables) where it may."""
    if turned_on and state.daemon.iptables:
        state.tables[Family.IPV4].policy("filter", "FORWARD", "DROP")
    if state.daemon.ip6tables and state.daemon.ip_forward and state.traits.v6_drop_at_start:
        state.tables[Family.IPV6].policy("filter", "FORWARD", "DROP")


def _remove(tables: Tables) -> None:
    tables.delete("nat", "PREROUTING", TO_LOCAL)
    for hairpin in (False, True):
        tables.delete("nat", "OUTPUT", output_rule(tables.family, hairpin))
    for table, chain in (("nat", DOCKER), ("filter", DOCKER), ("filter", STAGE_1), ("filter", STAGE_2)):
        tables.flush(table, chain)
        tables.remove_chain(table, chain)


def _create(tables: Tables) -> None:
    tables.new_chain("nat", DOCKER)
    tables.new_chain("filter", DOCKER)
    for chain in (STAGE_1, STAGE_2):
        tables.new_chain("filter", chain)
        tables.append(
            "filter", chain, "-j RETURN", "no network is isolated from this packet's: go on in FORWARD"
        )


def user_chain(state: HostState) -> None:
    """DOCKER-USER, always the first in FORWARD: what the administrator puts there comes before Docker's."""
    for family, switch in ((Family.IPV4, state.daemon.iptables), (Family.IPV6, state.daemon.ip6tables)):
        if family is Family.IPV6 and not state.traits.user_chain_v6:
            continue
        if switch or (family is Family.IPV4 and state.traits.user_chain_always):
            tables = state.tables[family]
            tables.new_chain("filter", USER)
            tables.append(
                "filter", USER, "-j RETURN", "the administrator's chain ends: on with Docker's rules"
            )
            tables.move_to_top("filter", "FORWARD", f"-j {USER}", "the administrator's chain comes first")
