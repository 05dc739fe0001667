"""Rootless Podman with networks: bridges and rules in a namespace of the user's, and rootlessport.

netavark writes in that namespace what it writes on a host; pasta (Podman 5) or slirp4netns (4) connects it.
rootlessport listens on the host, and connects from inside the container, to the container's own address.
Measured on 4.3.1, 5.4.2 and 5.8.6; of the last two, not the address of host.containers.internal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from netlab.engine.contract import ContainerState, Engine, HostFacts, ParentFacts
from netlab.engine.podman import rootless
from netlab.engine.podman.etc import HOST_GATEWAY
from netlab.engine.podman.host_state import Container, HostState
from netlab.engine.podman.networks import COMPOSE_DEFAULT
from netlab.engine.refusal import Refused
from netlab.model.event import ContainerSpec, ContainerStart, Event, NetworkCreate
from netlab.model.family import Family, bare
from netlab.model.identifiers import mac
from netlab.model.plan import Backend, Interface, Listener, Publication, UserNetwork
from netlab.model.rules import IptablesRuleset
from netlab.model.scenario import Firewall, Host, HostRoute, OutsideInterface

ROOTLESSPORT: Final = "rootlessport"


@dataclass(frozen=True, slots=True)
class Rootless:
    """The host with containers of single programs, and the user's namespace, once there is a network."""

    outer: Any
    inside: Host | None = None
    inner: Any = None


@dataclass(frozen=True, slots=True)
class RootlessPodman:
    """One version of Podman, run by an ordinary user."""

    engine: Engine[Any]

    @property
    def name(self) -> str:
        """``podman-5-nftables``."""
        return self.engine.name

    def start(self, host: Host) -> Rootless:
        """Podman is installed; raises :class:`Refused`."""
        return Rootless(self.engine.start(host))

    def step(self, state: Rootless, event: Event) -> Rootless:
        """What an event does, in the namespace that it is about; raises :class:`Refused`."""
        if isinstance(event, NetworkCreate):
            state = self._with_namespace(state)
            return replace(state, inner=self.engine.step(state.inner, event))
        if not isinstance(event, ContainerStart) or not _bridged(state, event.container):
            after = replace(state, outer=self.engine.step(state.outer, event))
        else:
            state = self._with_namespace(state)
            _check(state.outer.value, event.container)
            after = replace(state, inner=self.engine.step(state.inner, event))
            _check_ports(after, event.container.node)
        if isinstance(event, ContainerStart):
            _check_apart(after, event.container)
        return after

    def describe(self, state: Rootless) -> HostFacts:
        """What is on the host, or in the user's namespace: ``parent`` has what is on the host then."""
        outer = self.engine.describe(state.outer)
        if state.inside is None or not state.inner.value.containers:
            return outer
        facts = self.engine.describe(state.inner)
        host = state.outer.value.host
        interface, program = _link(state.outer.value, state.inside)
        return replace(
            facts,
            containers=tuple(_told(state, one) for one in facts.containers),
            listeners=(),
            publications=tuple(_published(facts.publications, host.name)),
            parent=ParentFacts(
                inside=state.inside,
                interface=interface,
                user_network=program,
                sysctls=outer.sysctls,
                rulesets=tuple(one for one in outer.rulesets if isinstance(one, IptablesRuleset)),
                listeners=tuple(_sockets(state.inner.value)),
            ),
        )

    def _with_namespace(self, state: Rootless) -> Rootless:
        """The namespace is made for the first network."""
        if state.inside is not None:
            return state
        inside = _inside(state.outer.value)
        return replace(state, inside=inside, inner=self.engine.start(inside))


def _bridged(state: Rootless, spec: ContainerSpec) -> bool:
    kind, _, target = spec.network_mode.partition(":")
    if kind == "container":
        return state.inside is not None and target in state.inner.value.containers
    return bool(spec.endpoints) or spec.network_mode == COMPOSE_DEFAULT


def _check(outer: HostState, spec: ContainerSpec) -> None:
    """Raise :class:`Refused` for what is not reproduced with rootless networks."""
    if len(spec.endpoints) > 1:
        reason = "netlab does not reproduce several networks of a rootless container yet"
        raise Refused("container", spec.node, reason)
    if outer.host.found is not None:
        raise Refused("host", outer.host.name, "netlab does not reproduce x-netlab.host.found without root")


def _check_apart(state: Rootless, spec: ContainerSpec) -> None:
    """Raise :class:`Refused` for containers of both kinds on one host."""
    if state.inside is not None and state.inner.value.containers and state.outer.value.containers:
        reason = (
            "netlab does not reproduce a rootless host with containers on networks beside others yet: give "
            "all services networks, or none"
        )
        raise Refused("container", spec.node, reason)


def _told(state: Rootless, container: ContainerState) -> ContainerState:
    """The container with the host's address in /etc/hosts: the bridge's is not the host's here."""
    outer = state.outer.value
    own = (bare(a) for one in outer.host.interfaces for a in one.addresses)
    host = next((a for a in own if Family.of(a) is Family.IPV4), "")
    address = rootless.PASTA_HOST if outer.traits.pasta else host
    names = {name for name, given in container.spec.extra_hosts if given == HOST_GATEWAY}
    names.add(" ".join(outer.traits.host_names))
    lines = (line.partition("\t") for line in container.hosts_file.splitlines())
    told = (f"{address if name in names else was}\t{name}\n" for was, _, name in lines)
    return replace(container, hosts_file="".join(told))


# -- the namespace


def _inside(outer: HostState) -> Host:
    """The host as netavark sees it."""
    host = outer.host
    interface, routes = _uplink(outer)
    return replace(
        host,
        name=f"{host.name}-rootless",
        rootless=False,
        interfaces=(OutsideInterface(interface.name, interface.addresses, "", rootless.MTU),),
        bridges=(),
        sysctls={},
        firewall=Firewall(),
        routes=routes,
        routing_policy=(),
        listen=(),
        rules=(),
    )


def _uplink(outer: HostState) -> tuple[OutsideInterface, tuple[HostRoute, ...]]:
    """The namespace's interface and routes: slirp4netns's own, or those that pasta copies from the host."""
    host = outer.host
    if not outer.traits.pasta:
        route = HostRoute("default", rootless.SLIRP_GATEWAY, "tap0", host.position)
        return OutsideInterface("tap0", (f"{rootless.SLIRP_GUEST}/24",), "", rootless.MTU), (route,)
    copied, _ = rootless.uplink(outer, "host", host.name)
    ways = tuple(rootless.default_routes(outer, copied.name))
    families = {family for family, _ in ways}
    addresses = tuple(one for one in copied.addresses if Family.of(one) in families)
    routes = tuple(HostRoute("default", via, copied.name, host.position) for _, via in ways)
    return replace(copied, addresses=addresses), routes


def _link(outer: HostState, inside: Host) -> tuple[Interface, UserNetwork]:
    """The namespace's end of its link, and the program at the other one."""
    (own,) = inside.interfaces
    pasta = outer.traits.pasta
    program = rootless.PASTA if pasta else rootless.SLIRP
    hardware = mac(inside.name, program)
    addresses = tuple(map(bare, own.addresses))
    reason = f"{inside.name} by {program}"
    four = [one for one in addresses if Family.of(one) is Family.IPV4]
    return (
        Interface(own.name, "veth", hardware, own.mtu, addresses=own.addresses, index=2, reason=reason),
        UserNetwork(
            program="pasta" if pasta else "slirp4netns",
            node=inside.name,
            interface=own.name,
            mac=mac(inside.name, program, "program"),
            guest_mac=hardware,
            addresses=addresses,
            leads_to=tuple((rootless.PASTA_HOST, one) for one in four[:1]) if pasta else (),
            unreachable=(rootless.PASTA_DNS,) if pasta else rootless.SLIRP_NOWHERE,
        ),
    )


# -- ports


def _check_ports(state: Rootless, node: str) -> None:
    container = state.inner.value.containers[node]
    rootless.check_ports(state.outer.value, container)
    held = {(one.protocol, one.port) for one in state.outer.value.host.listen}
    for one in _sockets(state.inner.value):
        if one.inside == node and (one.protocol, one.port) in held:
            raise Refused("container", node, rootless.busy(container, one))


def _sockets(inner: HostState) -> Iterator[Listener]:
    """Sockets of rootlessport's on the host, in order of the containers' start."""
    for container in inner.containers.values():
        own = _own_address(container)
        for port in container.published if container.running and own else ():
            address, v6only = rootless.bound(port, dual=True, families=set())
            for number in range(port.count):
                inside = port.container_port + number
                yield Listener(
                    port.protocol,
                    address,
                    port.host_port + number,
                    v6only,
                    ROOTLESSPORT,
                    Backend(own, inside),
                    rootless.BACKLOGS[ROOTLESSPORT],
                    f"port {inside} of {container.spec.node}",
                    inside=container.spec.node,
                )


def _own_address(container: Container) -> str:
    """The address to which rootlessport connects."""
    own = [one for endpoint in container.endpoints for one in endpoint.addresses.values()]
    return str(own[0]) if own else ""


def _published(publications: tuple[Publication, ...], host: str) -> Iterator[Publication]:
    for one in publications:
        everywhere = one.host_address in (Family.IPV4.any, Family.IPV6.any)
        yield replace(one, host=host, host_address="" if everywhere else one.host_address)
