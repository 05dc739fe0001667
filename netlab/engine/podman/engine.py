"""Podman as a state machine: which event calls which part. There is no daemon."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from netlab.engine.contract import HostFacts
from netlab.engine.ipam import Pools
from netlab.engine.podman import containers, facts, networks
from netlab.engine.podman.firewaller import Firewaller
from netlab.engine.podman.host_state import Container, HostState
from netlab.engine.podman.netavark_table import NetavarkTable
from netlab.engine.podman.settings import settings_of
from netlab.engine.podman.traits import Traits
from netlab.engine.refusal import Refused
from netlab.engine.state import State
from netlab.engine.sysctls import Sysctls
from netlab.engine.tables import IptablesError, Tables, reload_ufw, tables_of
from netlab.model.event import (
    Connect,
    ContainerRemove,
    ContainerRestart,
    ContainerStart,
    ContainerStop,
    DaemonConfigure,
    DaemonStart,
    DaemonStop,
    Disconnect,
    Event,
    FirewallFlush,
    FirewallReload,
    HostFound,
    HostReboot,
    NetworkCreate,
    NetworkReload,
    NetworkRemove,
)
from netlab.model.family import Network
from netlab.model.rules import ADDED_SINCE, FOUND, NftTable
from netlab.model.scenario import Host

#: What can happen to a rootless Podman.
_ROOTLESS = (NetworkCreate, ContainerStart, FirewallFlush, FirewallReload, HostFound)


@dataclass(frozen=True, slots=True)
class PodmanEngine:
    """One version of Podman with one firewall driver of netavark."""

    traits: Traits
    rules: Firewaller

    @property
    def name(self) -> str:
        """``podman-5-nftables``."""
        return self.traits.name

    def start(self, host: Host) -> State[HostState]:
        """A host on which Podman has not run yet, so nothing is changed; raises :class:`Refused`."""
        _check(host)
        return State(lambda: self._first(host), self._step)

    def step(self, state: State[HostState], event: Event) -> State[HostState]:
        """The state after one more event; raises :class:`Refused`."""
        return state.after(event)

    def describe(self, state: State[HostState]) -> HostFacts:
        """What is on the host in this state."""
        return facts.describe(state.value)

    def _first(self, host: Host) -> HostState:
        settings = settings_of(host.containers_conf)
        default = networks.default(settings.default_subnet)
        pools = Pools(
            settings.pools, tuple(_foreign(host)), [default.subnet(family) for family in default.families]
        )
        return HostState(
            host=host,
            traits=self.traits,
            sysctls=Sysctls(host.sysctls),
            tables=tables_of(host),
            pools=pools,
            dns_port=settings.dns_port,
            networks={default.name: default},
            choice_left=host.choice - 1,
            next_index=2 + len(host.interfaces) + len(host.bridges),
        )

    def _step(self, state: HostState, event: Event) -> None:
        try:
            self._act(state, event)
        except IptablesError as error:
            raise Refused("event", "", f"netavark: {error}") from None

    def _act(self, state: HostState, event: Event) -> None:
        rules = self.rules
        if state.host.rootless and not isinstance(event, _ROOTLESS):
            what = "what happens to a rootless Podman's containers later"
            raise Refused(
                "event", "", f"netlab does not reproduce {what} yet: take the lab down and up again"
            )
        match event:
            case NetworkCreate(spec):
                networks.create(state, spec)
            case NetworkRemove(name):
                networks.remove(state, name)
            case ContainerStart(spec_):
                containers.run(state, rules, spec_)
            case ContainerStop(node):
                self._stop(state, _known(state, node))
            case ContainerRestart(node, if_stopped):
                container = _known(state, node)
                if not (if_stopped and container.running):
                    self._stop(state, container)
                    containers.start(state, rules, container)
            case ContainerRemove(node):
                _check_free_of_dependents(state, node)
                self._stop(state, _known(state, node))
                del state.containers[node]
            case Connect(node, wish):
                containers.connect(state, rules, _known(state, node), wish)
            case Disconnect(node, network):
                containers.disconnect(state, rules, _known(state, node), network)
            case NetworkReload(node):
                containers.reload(state, rules, _known(state, node) if node else None)
            case FirewallFlush():
                for tables in state.tables.values():
                    tables.flush_table("filter")
                    tables.flush_table("nat")
            case FirewallReload():
                reload_ufw(state.host, state.tables)
            case HostFound():
                _take_over(state, event)
            case DaemonStop() | DaemonStart() | DaemonConfigure():
                raise Refused("event", "", "Podman has no daemon")
            case HostReboot():
                raise Refused("event", "", "netlab does not reproduce a reboot with Podman yet")

    def _stop(self, state: HostState, container: Container) -> None:
        if container.running:
            containers.stop(state, self.rules, container)


def _check(host: Host) -> None:
    """Raise :class:`Refused` for settings that Podman does not have, or that are not reproduced with it."""
    for key in host.daemon:
        raise Refused("daemon", key, "Podman has no daemon, and reads no daemon.json")
    if host.firewall.kind == "firewalld":
        raise Refused("host", host.name, "netlab does not reproduce firewalld beside Podman yet")
    for what, given in (
        ("userland proxy (proxy)", host.proxy != "shared"),
        ("variables of Docker's daemon (environment)", host.environment),
        ("mirrored networking of WSL2 (wsl2_mirrored)", host.wsl2_mirrored),
    ):
        if given:
            raise Refused("host", host.name, f"Podman does not know Docker's {what}")


def _foreign(host: Host) -> Iterator[Network]:
    """The subnets of the host's own interfaces, which no network may overlap."""
    addresses = [address for interface in host.interfaces for address in interface.addresses]
    addresses += [address for bridge in host.bridges for address in bridge.addresses]
    yield from (ipaddress.ip_interface(address).network for address in addresses)


def _known(state: HostState, node: str) -> Container:
    container = state.containers.get(node)
    if container is None:
        raise Refused("container", node, f'no container with name or ID "{node}" found: no such container')
    return container


def _check_free_of_dependents(state: HostState, node: str) -> None:
    others = [other for other, one in state.containers.items() if one.shares == node]
    if others:
        reason = f"has dependent containers which must be removed before it: {', '.join(others)}"
        raise Refused("container", node, f"container {node} {reason}: container already exists")


def _take_over(state: HostState, found: HostFound) -> None:
    """Go on from what others have made of the host: Podman keeps no account of its rules."""
    if found.neighbour is not None:
        state.meet(found.neighbour)
    for ruleset in found.rulesets:
        if isinstance(ruleset, NftTable):
            state.table = NetavarkTable.of(ruleset) if ruleset.chains else None
            continue
        tables = state.tables[ruleset.family] = Tables(ruleset.family)
        tables.take(ruleset)
    for key, value in found.sysctls:
        state.sysctls.write(key, value, FOUND if found.written else ADDED_SINCE)
