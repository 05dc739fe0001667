"""How dockerd integrates with firewalld: the zone of its bridges, and its rules after a reload.

Measured on 20.10.24, 26.1.5 and 28.5.2 beside firewalld 1.3.3, with either backend.
"""

from __future__ import annotations

from netlab.engine.docker.firewaller import Firewaller, write_container
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.tables import Tables
from netlab.model.family import FAMILIES, Family
from netlab.model.plan import FirewalldZone

#: The zone that Docker creates for its bridges if it does not exist, from 20.10 on.
ZONE = "docker"
#: The policy that Docker creates from 27 on: everything to its zone is accepted.
POLICY = "docker-forwarding"


def configured(state: HostState) -> FirewalldZone:
    """What firewalld knows of the daemon's bridges."""
    return FirewalldZone(ZONE, tuple(state.zone), POLICY if state.traits.firewalld_policy else "")


def join(state: HostState, network: LiveNetwork) -> None:
    """Put the bridge into zone ``docker``, unless it is there (AddInterfaceFirewalld)."""
    if not _minds(state) or (network.internal and not state.traits.firewalld_internal):
        return
    if network.bridge not in state.zone:
        state.zone.append(network.bridge)


def leave(state: HostState, network: LiveNetwork) -> None:
    """Take the bridge out of the zone."""
    if network.bridge in state.zone:
        state.zone.remove(network.bridge)


def reload(state: HostState, rules: Firewaller) -> None:
    """``firewall-cmd --reload``: all iptables rules of the host are gone, and dockerd writes its own again.

    firewalld empties all tables of both families, whatever its backend and whoever wrote the rules, and
    writes its own; it keeps which interface is in which zone. dockerd then runs the callbacks that it
    registered for each network (iptables.OnReloaded). Up to 27, these are incomplete: the isolation of
    networks is lost, and the jump to DOCKER-USER ends up after the networks' rules, so packets that those
    accept never reach it.
    """
    if state.host.firewall.kind != "firewalld":
        return
    policies = {family: _forward_policy(state, family) for family in FAMILIES}
    for family in FAMILIES:
        state.tables[family] = _emptied(state, family)
    if not state.running:
        return
    rules.start(state)
    rules.user_chain(state)
    for family, policy in policies.items():
        if policy == "DROP":
            state.tables[family].policy("filter", "FORWARD", "DROP")
    for network in state.networks.values():
        rules.add_network(state, network)
        if state.traits.reload_forgets:
            rules.forget_isolation(state, network)
    for container in state.containers.values():
        write_container(state, rules, container)
    if not state.traits.reload_forgets:
        rules.user_chain(state)


def _minds(state: HostState) -> bool:
    writes = state.daemon.iptables or state.daemon.ip6tables or state.daemon.nftables
    return state.host.firewall.kind == "firewalld" and state.traits.firewalld_zone and writes


def _emptied(state: HostState, family: Family) -> Tables:
    """The tables that there were, with firewalld's own rules."""
    tables = Tables(family)
    for table in state.tables[family].freeze().tables:
        tables.touch(table.name)
    for ruleset in state.host.firewall.rulesets:
        if ruleset.family is family:
            tables.take(ruleset)
    return tables


def _forward_policy(state: HostState, family: Family) -> str | None:
    if not state.tables[family].has_chain("filter", "FORWARD"):
        return None
    return state.tables[family].chain("filter", "FORWARD").policy
