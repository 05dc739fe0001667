"""Rootless Podman: the user's program that is a container's network, and what listens for its ports.

Nothing of it is written into the host's rules. Measured on 4.3.1 (slirp4netns 1.2.0, rootlessport) and 5.4.2
(pasta 20250503). For containers on networks, see :mod:`netlab.engine.podman.rootless_bridges`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from netlab.engine.podman.host_state import Container, HostState, Published
from netlab.engine.refusal import Refused, Subject
from netlab.model.event import ContainerSpec
from netlab.model.family import FAMILIES, Family, bare
from netlab.model.identifiers import link_local, mac
from netlab.model.plan import Backend, Interface, Listener, Publication, Route, UserNetwork
from netlab.model.scenario import OutsideInterface

PASTA: Final = "pasta"
SLIRP: Final = "slirp4netns"
MODES = (PASTA, SLIRP)
#: Both programs make a link of this size.
MTU = 65520
#: ``--map-guest-addr`` and ``--dns-forward``, as Podman 5 gives them to pasta.
PASTA_HOST, PASTA_DNS = "169.254.1.2", "169.254.1.1"
#: slirp4netns's network: the container, its gateway, its DNS server (slirp4netns(1)).
SLIRP_GUEST, SLIRP_GATEWAY, SLIRP_DNS = "10.0.2.100", "10.0.2.2", "10.0.2.3"
SLIRP_ROUTER_6 = "fe80::2"
#: Addresses of its own that lead nowhere (--disable-host-loopback, and no DNS in a lab).
SLIRP_NOWHERE = (SLIRP_GATEWAY, SLIRP_DNS, "fd00::2", "fd00::3")
#: pasta's listen() and that of Go's net package
BACKLOGS = {PASTA: 128, "rootlessport": 4096}
_FIRST_PORT = "net.ipv4.ip_unprivileged_port_start"


def check_mode(state: HostState, spec: ContainerSpec) -> None:
    """Raise :class:`Refused` for a network mode that a rootless container does not have here."""
    mode = spec.network_mode
    if mode == PASTA and not state.traits.pasta:
        reason = f"unable to find network with name or ID {PASTA}: network not found; write {SLIRP}"
        raise Refused("container", spec.node, reason)
    if mode in MODES or mode == "none" or mode.startswith("container:"):
        return
    mine = PASTA if state.traits.pasta else SLIRP
    what = f"netlab does not reproduce network_mode: {mode} yet: write network_mode: {mine}"
    raise Refused("container", spec.node, what)


def check_ports(state: HostState, container: Container) -> None:
    """Raise :class:`Refused` in the words of the program that may not bind a port of the user's.

    The source of the words are recordings.
    """
    first = int(state.sysctls.get(_FIRST_PORT) or "1024")
    for port in container.published:
        if port.protocol == "sctp":
            raise Refused("container", container.spec.node, "a rootless container publishes no SCTP")
        if port.host_ip == "::":
            reason = "netlab does not know what a rootless container does with the host address [::]"
            raise Refused("container", container.spec.node, reason)
        low = port.host_port
        if low >= first:
            continue
        mends = f"publish a port from {first} on, or set x-netlab.host.sysctls: {{{_FIRST_PORT}: {low}}}"
        if container.spec.network_mode == PASTA:
            host, option = (
                f"{port.host_ip}/" if port.host_ip else "",
                "-u" if port.protocol == "udp" else "-t",
            )
            last, inside = low + port.count - 1, port.container_port
            ports = f"{host}{low}-{last}:{inside}-{inside + port.count - 1}"
            words = f"Failed to bind port {low} (Permission denied) for option '{option} {ports}'"
            raise Refused("container", container.spec.node, f"pasta: {words}; {mends}")
        words = (
            f"rootlessport cannot expose privileged port {low}, you can add '{_FIRST_PORT}={low}' to "
            f"/etc/sysctl.conf (currently {first}), or choose a larger port number (>= {first}): listen "
            f"{port.protocol} {port.host_ip or Family.IPV4.any}:{low}: bind: permission denied"
        )
        raise Refused("container", container.spec.node, f"{words}; {mends}")


def busy(container: Container, listener: Listener) -> str:
    """What Podman says of a port that another socket of the host has."""
    number = listener.port
    if container.spec.network_mode == PASTA:
        return f"pasta: Failed to bind port {number} (Address already in use)"
    where = f"{'' if listener.address == '::' else listener.address}:{number}"
    return f"rootlessport listen {listener.protocol} {where}: bind: address already in use"


# -- the link


def user_network(state: HostState, container: Container) -> UserNetwork | None:
    """The program and the container's addresses; None if it has no network of this kind."""
    spec = container.spec
    if spec.network_mode not in MODES or not container.running:
        return None
    own = _interface(state, container)
    if spec.network_mode == SLIRP:
        return UserNetwork(
            program=SLIRP,
            node=spec.node,
            interface=own.name,
            mac=_program_mac(container),
            guest_mac=own.mac or "",
            addresses=tuple(map(bare, own.addresses)),
            unreachable=SLIRP_NOWHERE,
        )
    return UserNetwork(
        program=PASTA,
        node=spec.node,
        interface=own.name,
        mac=_program_mac(container),
        guest_mac=own.mac or "",
        addresses=tuple(map(bare, own.addresses)),
        seen_as=tuple(_seen_as(own)),
        leads_to=tuple((PASTA_HOST, bare(a)) for a in own.addresses if Family.of(a) is Family.IPV4)[:1],
        unreachable=(PASTA_DNS,),
    )


def _seen_as(own: Interface) -> Iterator[tuple[str, str]]:
    """How the container sees the host's own addresses, which it has itself.

    Pasta has an address for the host in IPv4 alone; in IPv6 it takes the link-local one of the host's
    interface.
    """
    for address in map(bare, own.addresses):
        yield address, PASTA_HOST if Family.of(address) is Family.IPV4 else ""


def _program_mac(container: Container) -> str:
    return mac(container.spec.id, container.spec.network_mode, "program", str(container.starts))


def interfaces(state: HostState, container: Container) -> tuple[Interface, ...]:
    """The container's interfaces, where a program of its user's is its network."""
    running = container.running and container.spec.network_mode in MODES
    return (_interface(state, container),) if running else ()


def _interface(state: HostState, container: Container) -> Interface:
    spec = container.spec
    hardware = mac(spec.id, spec.network_mode, str(container.starts))
    if spec.network_mode == SLIRP:
        name = "tap0"
        six = "fd00::" + link_local(hardware).removeprefix("fe80::")
        addresses: tuple[str, ...] = (f"{SLIRP_GUEST}/24", f"{six}/64")
    else:
        copied, _ = uplink(state, "container", spec.node)
        name = copied.name
        families = {family for family, _ in default_routes(state, name)}
        addresses = tuple(a for a in copied.addresses if Family.of(a) in families)
    reason = f"{spec.node} by {spec.network_mode}"
    return Interface(name, "veth", hardware, MTU, addresses=addresses, index=2, reason=reason)


def routes(state: HostState, container: Container) -> Iterator[Route]:
    """The container's default routes: slirp4netns's own, or those that pasta copies from the host."""
    if container.spec.network_mode == SLIRP:
        yield Route("default", SLIRP_GATEWAY, "tap0")
        yield Route("default", SLIRP_ROUTER_6, "tap0")
    elif container.spec.network_mode == PASTA:
        copied, _ = uplink(state, "container", container.spec.node)
        for _, via in default_routes(state, copied.name):
            yield Route("default", via, copied.name)


def check_uplink(state: HostState, spec: ContainerSpec) -> None:
    """Raise :class:`Refused` if pasta finds no interface of the host's to copy."""
    if spec.network_mode == PASTA:
        uplink(state, "container", spec.node)


def uplink(state: HostState, subject: Subject, name: str) -> tuple[OutsideInterface, str]:
    """The host's interface with a default route, and its next hop; raises :class:`Refused`."""
    missing: list[Family] = list(FAMILIES)
    for interface in state.host.interfaces:
        found = dict(default_routes(state, interface.name))
        missing = [f for f in {Family.of(a): None for a in interface.addresses} if f not in found]
        if found and not missing:
            return interface, next(iter(found.values()))
        if found:
            break
    example = "2001:db8:1::2" if missing == [Family.IPV6] else "198.51.100.2"
    reason = (
        f"pasta copies an interface of the host's with its default routes, and netlab does not know what it "
        f"does with {' and '.join(f'IPv{f.value}' for f in missing)} without one: give the host one, for "
        f'instance x-netlab.host.routes: ["default via {example}"]'
    )
    raise Refused(subject, name, reason)


def default_routes(state: HostState, name: str) -> Iterator[tuple[Family, str]]:
    """The next hops of the host's default routes on an interface, one a family."""
    for family in FAMILIES:
        for route in state.host.routes:
            if route.table is not None or route.destination != "default" or route.via is None:
                continue
            if Family.of(route.via) is family and (route.interface or state.on_link(route.via)) == name:
                yield family, route.via
                break


def host_address(state: HostState, container: Container) -> str:
    """The address that a container has for its host (host.containers.internal); empty if it has none."""
    if container.spec.network_mode == PASTA:
        return PASTA_HOST
    if container.spec.network_mode == SLIRP:
        own = (bare(a) for one in state.host.interfaces for a in one.addresses)
        return next((a for a in own if Family.of(a) is Family.IPV4), "")
    return ""


def own_address(state: HostState, container: Container) -> str:
    """The container's own address in /etc/hosts."""
    return bare(_interface(state, container).addresses[0])


def dns(container: Container) -> tuple[str, ...]:
    """The program's DNS server, which comes before the host's own."""
    return {PASTA: (PASTA_DNS,), SLIRP: (SLIRP_DNS,)}.get(container.spec.network_mode, ())


# -- ports


def sockets(state: HostState, container: Container) -> Iterator[Listener]:
    """What listens on the host: pasta itself, or rootlessport in front of slirp4netns."""
    own = _interface(state, container)
    pasta = container.spec.network_mode == PASTA
    process = PASTA if pasta else "rootlessport"
    families = {Family.of(address) for address in own.addresses}
    inside = bare(own.addresses[0])
    for port in container.published if container.spec.network_mode in MODES else ():
        for number in range(port.count):
            address, v6only = bound(port, dual=not pasta or len(families) == 2, families=families)
            yield Listener(
                port.protocol,
                address,
                port.host_port + number,
                v6only,
                process,
                Backend(inside, port.container_port + number),
                BACKLOGS[process],
                f"port {port.container_port + number} of {container.spec.node}",
                inside=container.spec.node,
            )


def bound(port: Published, *, dual: bool, families: set[Family]) -> tuple[str, bool | None]:
    """The address of a listener, and whether it is for IPv6 alone (None: it is for IPv4)."""
    if port.host_ip:
        return port.host_ip, True if Family.of(port.host_ip) is Family.IPV6 else None
    if dual:
        return Family.IPV6.any, False
    return (Family.IPV4.any, None) if Family.IPV4 in families else (Family.IPV6.any, True)


def publications(state: HostState, container: Container) -> Iterator[Publication]:
    """Every mapping leads to the container."""
    for listener in sockets(state, container):
        assert listener.backend is not None
        every = listener.address == Family.IPV6.any and listener.v6only is False
        yield Publication(
            host=state.host.name,
            host_address="" if every else listener.address,
            host_port=listener.port,
            protocol=listener.protocol,
            node=container.spec.node,
            container_port=listener.backend.port,
            network=container.spec.network_mode,
        )
