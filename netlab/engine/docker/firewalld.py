"""How dockerd integrates with firewalld: the zone of its bridges, and its rules after a reload.

Measured on 20.10.24, 26.1.5 and 28.5.2 beside firewalld 1.3.3, with either backend.
"""

from __future__ import annotations

from netlab.engine.docker.firewaller import Firewaller, write_container
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.refusal import Refused
from netlab.engine.tables import Tables
from netlab.model.family import FAMILIES, Family
from netlab.model.plan import FirewalldZone

#: The zone that Docker creates for its bridges if it does not exist, from 20.10 on.
ZONE = "docker"
#: The policy that Docker creates from 27 on: everything to its zone is accepted.
POLICY = "docker-forwarding"
#: The name of firewalld's own table, with its nftables backend.
TABLE = "firewalld"
#: The chain of table filter in which firewalld has rules for each interface, with the iptables backend.
_INTERFACES = "INPUT_ZONES"


def configured(state: HostState) -> FirewalldZone:
    """What firewalld knows of the daemon's bridges."""
    policy = POLICY if state.traits.firewalld_policy else ""
    return FirewalldZone(ZONE, tuple(state.zone), policy, dict(state.zone_found), state.firewalld_found)


def join(state: HostState, network: LiveNetwork) -> None:
    """Put the bridge into zone ``docker``, unless it is there (AddInterfaceFirewalld).

    Raises :class:`Refused` where others have emptied firewalld's rules: firewalld then fails
    (COMMAND_FAILED), and what Docker leaves was not measured.
    """
    if not _minds(state) or (network.internal and not state.traits.firewalld_internal):
        return
    if network.bridge in state.zone:
        return
    if _is_empty(state):
        text = (
            f"firewalld cannot put {network.bridge} into zone {ZONE}, because others have deleted its own "
            "rules, and netlab does not reproduce what Docker leaves then"
        )
        raise Refused("event", "", text)
    state.zone.append(network.bridge)


def leave(state: HostState, network: LiveNetwork) -> None:
    """Take the bridge out of the zone; it stays in it where others have emptied firewalld's rules."""
    if network.bridge in state.zone and not _is_empty(state):
        state.zone.remove(network.bridge)


def reload(state: HostState, rules: Firewaller) -> None:
    """``firewall-cmd --reload``: all iptables rules of the host are gone, and dockerd writes its own again.

    firewalld empties all tables of both families, whatever its backend and whoever wrote the rules, and
    writes its own; it keeps which interface is in which zone. dockerd then runs the callbacks that it
    registered for each network (iptables.OnReloaded). Up to 27, these are incomplete: the isolation of
    networks is lost, and the jump to DOCKER-USER ends up after the networks' rules, so packets that those
    accept never reach it.

    Raises :class:`Refused` where others have deleted firewalld's own table: ``firewall-cmd --reload`` then
    fails (COMMAND_FAILED).
    """
    if state.host.firewall.kind != "firewalld":
        return
    if state.firewalld_found is not None and not state.firewalld_found[0].chains:
        text = "firewalld cannot reload, because others have deleted its table: take the lab down and up"
        raise Refused("event", "", text)
    policies = {family: _forward_policy(state, family) for family in FAMILIES}
    for family in FAMILIES:
        state.tables[family] = _emptied(state, family)
    forget_found(state)
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


def forget_found(state: HostState) -> None:
    """Go on without what others had made of firewalld's rules: it has written all of them again."""
    state.zone_found.clear()
    state.firewalld_found = None


def _is_empty(state: HostState) -> bool:
    """Whether the chains are gone, or empty, to which firewalld adds a rule for each interface.

    Measured with 1.3.3: it then fails to add or remove an interface, and the zone stays as it is.
    """
    if state.firewalld_found is not None and not any(c.rules for c in state.firewalld_found[0].chains):
        return True
    for ruleset in state.host.firewall.rulesets:
        table = ruleset.table("filter")
        if table is not None and table.chain(_INTERFACES) is not None:
            tables = state.tables[ruleset.family]
            if not (tables.has_chain("filter", _INTERFACES) and tables.chain("filter", _INTERFACES).rules):
                return True
    return False


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
