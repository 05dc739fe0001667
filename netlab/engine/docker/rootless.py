"""Rootless Docker: a daemon that lives in a namespace of the user's, and rootlesskit, which holds its ports.

The daemon and everything that it writes are in that namespace, which slirp4netns connects to the host.
docker-proxy listens there, on a loopback address; rootlesskit listens on the host, and what it accepts it
connects to docker-proxy. Measured: dockerd 20.10.24 with rootlesskit 1.1.0 (port driver ``builtin``) and
slirp4netns 1.2.0; with the driver ``slirp4netns`` it is slirp4netns that listens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from netlab.engine.contract import Engine, HostFacts, ParentFacts
from netlab.engine.refusal import Refused
from netlab.engine.sysctls import Sysctls
from netlab.engine.tables import tables_of
from netlab.model.event import ContainerStart, Event, NetworkCreate
from netlab.model.family import Family
from netlab.model.identifiers import mac
from netlab.model.plan import Backend, Interface, Listener, UserNetwork
from netlab.model.scenario import Firewall, Host, HostRoute, OutsideInterface

#: The engines of which it was measured.
MEASURED: Final = ("docker-20.10",)
KIT: Final = "rootlesskit"
SLIRP: Final = "slirp4netns"
PORT_DRIVER: Final = "DOCKERD_ROOTLESS_ROOTLESSKIT_PORT_DRIVER"
MTU: Final = 65520
GUEST, GATEWAY, DNS = "10.0.2.100", "10.0.2.2", "10.0.2.3"
#: What slirp4netns leads nowhere (--disable-host-loopback, and no DNS in a lab).
_NOWHERE: Final = (GATEWAY, DNS)
_BACKLOGS: Final = {KIT: 4096, SLIRP: 1}
_FIRST_PORT: Final = "net.ipv4.ip_unprivileged_port_start"
_LOOPBACK: Final = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}


@dataclass(frozen=True, slots=True)
class Rootless:
    """The host, the daemon's own view of one, and its state."""

    host: Host
    inside: Host
    state: Any


@dataclass(frozen=True, slots=True)
class RootlessDocker:
    """One generation of Docker, run by an ordinary user."""

    engine: Engine[Any]

    @property
    def name(self) -> str:
        """``docker-20.10``."""
        return self.engine.name

    def start(self, host: Host) -> Rootless:
        """The daemon starts in its namespace; raises :class:`Refused`."""
        _check(self.engine.name, host)
        inside = _inside(host)
        return Rootless(host, inside, self.engine.start(inside))

    def step(self, state: Rootless, event: Event) -> Rootless:
        """The daemon acts, and rootlesskit binds the ports of a container; raises :class:`Refused`."""
        if not isinstance(event, NetworkCreate | ContainerStart):
            what = "what happens to a rootless Docker's containers later"
            raise Refused(
                "event", "", f"netlab does not reproduce {what} yet: take the lab down and up again"
            )
        after = replace(state, state=self.engine.step(state.state, event))
        if isinstance(event, ContainerStart):
            held = self.engine.describe(state.state).listeners
            new = [one for one in self.engine.describe(after.state).listeners if one not in held]
            _check_ports(state.host, event.container.node, new)
        return after

    def describe(self, state: Rootless) -> HostFacts:
        """What is in the daemon's namespace; ``parent`` has what is on the host."""
        facts = self.engine.describe(state.state)
        driver = _driver(state.host)
        return replace(
            facts,
            listeners=tuple(_proxies(facts.listeners, driver)),
            publications=tuple(replace(one, host=state.host.name) for one in facts.publications),
            parent=_parent(state, tuple(_sockets(state, facts.listeners, driver))),
        )


def _check(engine: str, host: Host) -> None:
    """Raise :class:`Refused` for what is not reproduced."""
    if engine not in MEASURED:
        known = ", ".join(MEASURED)
        raise Refused(
            "host", host.name, f"netlab reproduces rootless Docker of {known} alone, not of {engine}"
        )
    if host.daemon.get("userland-proxy") is False:
        reason = "netlab does not know what rootless Docker publishes without its userland proxy"
        raise Refused("daemon", "userland-proxy", reason)
    for what, given in (
        ("x-netlab.host.proxy", host.proxy != "shared"),
        ("x-netlab.host.found", host.found is not None),
        ("x-netlab.host.wsl2", host.wsl2_mirrored),
    ):
        if given:
            raise Refused("host", host.name, f"netlab does not reproduce {what} with rootless Docker yet")
    if _driver(host) not in _BACKLOGS:
        known = "builtin or slirp4netns"
        raise Refused("host", host.name, f"{PORT_DRIVER}={host.environment[PORT_DRIVER]}: write {known}")


def _driver(host: Host) -> str:
    """The program that listens for a published port."""
    written = host.environment.get(PORT_DRIVER, "builtin")
    return KIT if written == "builtin" else written


def _inside(host: Host) -> Host:
    """The host as the daemon sees it: a namespace with one interface, in which no firewall is."""
    tap = OutsideInterface("tap0", (f"{GUEST}/24",), "", MTU)
    return replace(
        host,
        name=f"{host.name}-rootless",
        rootless=False,
        interfaces=(tap,),
        bridges=(),
        sysctls={},
        firewall=Firewall(),
        routes=(HostRoute("default", GATEWAY, "tap0", host.position),),
        routing_policy=(),
        listen=(),
        rules=(),
        environment={key: value for key, value in host.environment.items() if key != PORT_DRIVER},
    )


def _parent(state: Rootless, listeners: tuple[Listener, ...]) -> ParentFacts:
    host, node = state.host, state.inside.name
    hardware = mac(host.name, KIT, "tap0")
    network = UserNetwork(
        program=SLIRP,
        node=node,
        interface="tap0",
        mac=mac(host.name, KIT, SLIRP),
        guest_mac=hardware,
        addresses=(GUEST,),
        seen_as=(("127.0.0.1", GATEWAY),),
        unreachable=_NOWHERE,
    )
    interface = Interface(
        "tap0", "veth", hardware, MTU, addresses=(f"{GUEST}/24",), index=2, reason=f"{node} by {SLIRP}"
    )
    written = (tables.freeze() for tables in tables_of(host).values())
    return ParentFacts(
        inside=state.inside,
        interface=interface,
        user_network=network,
        sysctls=Sysctls(host.sysctls).all(),
        rulesets=tuple(one for one in written if one.tables),
        listeners=listeners,
    )


# -- ports


def _family(listener: Listener) -> Family:
    return Family.of(listener.address)


def _published(listeners: tuple[Listener, ...], driver: str) -> Iterator[Listener]:
    """What the driver can publish: slirp4netns nothing by IPv6, and neither of them SCTP."""
    for one in listeners:
        if one.protocol != "sctp" and (driver == KIT or _family(one) is Family.IPV4):
            yield one


def _child(listener: Listener, driver: str) -> str:
    """The address in the daemon's namespace to which a port leads, and on which docker-proxy listens."""
    return _LOOPBACK[_family(listener)] if driver == KIT else GUEST


def _proxies(listeners: tuple[Listener, ...], driver: str) -> Iterator[Listener]:
    """docker-proxy as rootlesskit-docker-proxy starts it."""
    for one in _published(listeners, driver):
        yield replace(one, address=_child(one, driver), argv=())


def _sockets(state: Rootless, listeners: tuple[Listener, ...], driver: str) -> Iterator[Listener]:
    """What listens on the host."""
    for one in _published(listeners, driver):
        yield replace(
            one,
            process=driver,
            backend=Backend(_child(one, driver), one.port),
            backlog=_BACKLOGS[driver],
            argv=(),
            inside=state.inside.name,
        )


def _check_ports(host: Host, node: str, listeners: list[Listener]) -> None:
    """Raise :class:`Refused`, in rootlesskit's words, for a port that a user may not bind."""
    first = int(host.sysctls.get(_FIRST_PORT) or "1024")
    driver = _driver(host)
    for one in _published(tuple(listeners), driver):
        if one.port >= first:
            continue
        words = (
            f"cannot expose privileged port {one.port}, you can add '{_FIRST_PORT}={one.port}' to "
            f"/etc/sysctl.conf (currently {first}), or set CAP_NET_BIND_SERVICE on rootlesskit binary, or "
            f"choose a larger port number (>= {first}): listen {one.protocol}{_family(one).value} "
            f"{one.address}:{one.port}: bind: permission denied"
        )
        if driver == SLIRP:
            words = "reply.Error: map[desc:bad request: add_hostfwd: slirp_add_hostfwd failed]"
        raise Refused(
            "container",
            node,
            "driver failed programming external connectivity: Error starting userland proxy: error while "
            f"calling PortManager.AddPort(): {words}; publish a port from {first} on, or set "
            f"x-netlab.host.sysctls: {{{_FIRST_PORT}: {one.port}}}",
        )
