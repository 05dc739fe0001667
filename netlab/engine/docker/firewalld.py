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


def configured(world: HostState) -> FirewalldZone:
    """What firewalld knows of the daemon's bridges."""
    return FirewalldZone(ZONE, tuple(world.zone), POLICY if world.traits.firewalld_policy else "")


def join(world: HostState, network: LiveNetwork) -> None:
    """Put the bridge into zone ``docker``, unless it is there (AddInterfaceFirewalld)."""
    if not _minds(world) or (network.internal and not world.traits.firewalld_internal):
        return
    if network.bridge not in world.zone:
        world.zone.append(network.bridge)


def leave(world: HostState, network: LiveNetwork) -> None:
    """Take the bridge out of the zone."""
    if network.bridge in world.zone:
        world.zone.remove(network.bridge)


def reload(world: HostState, rules: Firewaller) -> None:
    """``firewall-cmd --reload``: all iptables rules of the host are gone, and dockerd writes its own again.

    firewalld empties all tables of both families, whatever its backend and whoever wrote the rules, and
    writes its own; it keeps which interface is in which zone. dockerd then runs the callbacks that it
    registered for each network (iptables.OnReloaded). Up to 27, these are incomplete: the isolation of
    networks is lost, and the jump to DOCKER-USER ends up after the networks' rules, so packets that those
    accept never reach it.
    """
    if world.host.firewall.kind != "firewalld":
        return
    policies = {family: _forward_policy(world, family) for family in FAMILIES}
    for family in FAMILIES:
        world.tables[family] = _emptied(world, family)
    if not world.running:
        return
    rules.start(world)
    rules.user_chain(world)
    for family, policy in policies.items():
        if policy == "DROP":
            world.tables[family].policy("filter", "FORWARD", "DROP")
    for network in world.networks.values():
        rules.add_network(world, network)
        if world.traits.reload_forgets:
            rules.forget_isolation(world, network)
    for container in world.containers.values():
        write_container(world, rules, container)
    if not world.traits.reload_forgets:
        rules.user_chain(world)


def _minds(world: HostState) -> bool:
    writes = world.daemon.iptables or world.daemon.ip6tables or world.daemon.nftables
    return world.host.firewall.kind == "firewalld" and world.traits.firewalld_zone and writes


def _emptied(world: HostState, family: Family) -> Tables:
    """The tables that there were, with firewalld's own rules."""
    tables = Tables(family)
    for table in world.tables[family].freeze().tables:
        tables.touch(table.name)
    for ruleset in world.host.firewall.rulesets:
        if ruleset.family is family:
            tables.take(ruleset)
    return tables


def _forward_policy(world: HostState, family: Family) -> str | None:
    if not world.tables[family].has_chain("filter", "FORWARD"):
        return None
    return world.tables[family].chain("filter", "FORWARD").policy
