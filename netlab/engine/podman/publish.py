"""Publishing: how a container's port mappings are grouped and joined, and conmon's sockets for them.

Source: podman, pkg/specgen/generate/ports.go (ParsePortMapping); measured on 4.3.1, 5.4.2 and 5.8.6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netlab.engine.podman import rootless
from netlab.engine.podman.chance import in_some_order
from netlab.engine.podman.host_state import Container, HostState, LiveNetwork, Published
from netlab.engine.refusal import Refused
from netlab.model.event import ContainerSpec
from netlab.model.family import Family
from netlab.model.identifiers import digest
from netlab.model.plan import Listener, Publication
from netlab.model.scenario import PortMapping, Protocol

#: conmon's sockets: what Go's net.Listen asks for.
BACKLOG = 4096
_PROTOCOLS: tuple[Protocol, ...] = ("tcp", "udp", "sctp")


def joined(state: HostState, spec: ContainerSpec) -> tuple[Published, ...]:
    """The mappings as netavark gets them, grouped by host address and protocol.

    Within a group they are sorted by host port, and neighbours are joined. The order of the groups is left to
    chance. Raises :class:`Refused`.
    """
    groups = in_some_order(state, group_order(spec.ports))
    if len(groups) > 1:
        order = ", ".join(f"{protocol} of {address or 'any address'}" for address, protocol in groups)
        text = (
            "Podman leaves to chance in which order it publishes ports of several host addresses or "
            f"protocols; here the order is {order}"
        )
        state.note("container", spec.node, text, by_chance=True)
    found: list[Published] = []
    for host_ip, protocol in groups:
        given = [m for m in spec.ports if (_address(m), m.protocol) == (host_ip, protocol)]
        fixed = sorted((m for m in given if m.host_ports), key=_by_port)
        made = [_published(spec, m) for m in fixed]
        made += [_of_chance(state, spec, m) for m in sorted(given, key=_by_port) if not m.host_ports]
        found += _neighbours(spec, made)
    return tuple(found)


def group_order(mappings: Iterable[PortMapping]) -> list[tuple[str, Protocol]]:
    """(host address, protocol) of each group: those of one address together."""
    given = dict.fromkeys((_address(mapping), mapping.protocol) for mapping in mappings)
    addresses = dict.fromkeys(address for address, _ in given)
    return [(one, protocol) for one in addresses for protocol in _PROTOCOLS if (one, protocol) in given]


def _address(mapping: PortMapping) -> str:
    return "" if mapping.host_ip == Family.IPV4.any else mapping.host_ip


def _by_port(mapping: PortMapping) -> tuple[int, int]:
    return (mapping.host_ports or (0, 0))[0], mapping.container_port


def _published(spec: ContainerSpec, mapping: PortMapping) -> Published:
    assert mapping.host_ports is not None
    low, high = mapping.host_ports
    if low != high:
        reason = f"host and container port ranges have different lengths: {high - low + 1} vs 1"
        raise Refused("container", spec.node, reason)
    return Published(_address(mapping), mapping.protocol, low, mapping.container_port)


def _of_chance(state: HostState, spec: ContainerSpec, mapping: PortMapping) -> Published:
    """A host port of the kernel's choice: one of its range that follows from the container's id."""
    low, high = (int(part) for part in state.sysctls.get("net.ipv4.ip_local_port_range").split())
    key = digest("port", spec.id, mapping.protocol, mapping.host_ip, str(mapping.container_port))
    taken = {one.port for one in listeners(state) if one.protocol == mapping.protocol}
    port = low + int(key[:8], 16) % (high - low + 1)
    while port in taken:
        port = low if port == high else port + 1
    state.note(
        "container",
        spec.node,
        f"Podman takes any free host port for {mapping.container_port}",
        by_chance=True,
    )
    return Published(_address(mapping), mapping.protocol, port, mapping.container_port)


def _neighbours(spec: ContainerSpec, made: list[Published]) -> list[Published]:
    """Ports in a row that lead to ports in a row are one range; raises :class:`Refused` for a conflict."""
    found: list[Published] = []
    for one in made:
        last = found[-1] if found else None
        if last is not None and last.host_port + last.count >= one.host_port:
            apart = one.host_port - last.host_port
            if apart == one.container_port - last.container_port:
                found[-1] = replace(last, count=max(last.count, apart + 1))
                continue
            if last.host_port + last.count > one.host_port:
                reason = f"conflicting port mappings for host port {one.host_port} (protocol {one.protocol})"
                raise Refused("container", spec.node, reason)
        found.append(one)
    return found


# -- sockets


def check_free(state: HostState, container: Container, joins: Iterable[LiveNetwork] = ()) -> None:
    """Raise :class:`Refused` as Podman does for a port that another socket of the host has.

    ``joins`` are the networks that it is about to join: aardvark-dns is to be at their gateways, too.
    Podman 4 starts it before the ports are bound, Podman 5 behind them: there, aardvark-dns fails.
    """
    taken = [(one.protocol, one.port, address) for one in listeners(state) for address in _held(one)]
    taken += [(p, own.port, f.any) for own in state.host.listen for p in [own.protocol] for f in Family]
    taken += [(protocol, port, address) for protocol, address, port in state.neighbour.listening]
    protocols: tuple[Protocol, ...] = ("udp", "tcp") if state.traits.newer_dns else ("udp",)
    later: list[tuple[Protocol, int, str]] = []
    for network in {one.name: one for one in (*state.networks.values(), *joins)}.values():
        if network.dns and (network.index is not None or network in joins):
            found = taken if network.index is not None or not state.traits.newer_dns else later
            found += [
                (p, state.dns_port, str(network.gateway(family)))
                for p in protocols
                for family in network.families
            ]
    for one in _sockets(state, container):
        for protocol, port, address in (*taken, *later):
            clash = any(_clash(address, own) for own in _held(one))
            if (protocol, port) == (one.protocol, one.port) and clash:
                if (protocol, port, address) in later and not one.inside:
                    raise Refused(
                        "container",
                        container.spec.node,
                        "netavark: error while applying dns entries: aardvark-dns failed to start: Error "
                        f"starting server failed to bind {protocol} listener on {address}:{port}: IO error: "
                        "Address already in use (os error 98)",
                    )
                kind = f"{protocol}{Family.of(one.address)}"
                shown = "" if one.address == Family.IPV4.any else one.address
                if one.inside:
                    raise Refused("container", container.spec.node, rootless.busy(container, one))
                raise Refused(
                    "container",
                    container.spec.node,
                    f"cannot listen on the {protocol.upper()} port: listen {kind} {shown}:{port}: bind: "
                    "address already in use",
                )


def _held(one: Listener) -> tuple[str, ...]:
    """The addresses that a socket takes; one for both families takes all of IPv4, too."""
    return (one.address,) if one.v6only is not False else tuple(family.any for family in Family)


def _clash(one: str, other: str) -> bool:
    family = Family.of(one)
    return family is Family.of(other) and (one == other or family.any in (one, other))


def listeners(state: HostState) -> Iterator[Listener]:
    """The sockets of every running container's conmon, in order of their start."""
    for container in state.containers.values():
        if container.running:
            yield from _sockets(state, container)


def _sockets(state: HostState, container: Container) -> Iterator[Listener]:
    """One socket a port, which is never accepted on: it only keeps the port. SCTP has none."""
    if state.host.rootless:
        yield from rootless.sockets(state, container)
        return
    for port in container.published if not container.shares else ():
        for number in range(port.count) if port.protocol != "sctp" else ():
            address = port.host_ip or Family.IPV4.any
            yield Listener(
                port.protocol,
                address,
                port.host_port + number,
                True if Family.of(address) is Family.IPV6 else None,
                "conmon",
                None,
                BACKLOG,
                f"port {port.container_port + number} of {container.spec.node}: conmon keeps the host port",
            )


def publications(state: HostState, container: Container) -> Iterator[Publication]:
    """What of the mappings leads anywhere: on the first network whose rules were written."""
    if state.host.rootless:
        yield from rootless.publications(state, container) if container.running else ()
        return
    open_to = [e for e in container.endpoints if not state.network_of(e).internal]
    for port in container.published if open_to else ():
        families = [family for family in open_to[0].addresses if port.address(family) is not None]
        for number in range(port.count) if families else ():
            yield Publication(
                host=state.host.name,
                host_address=port.host_ip or ("" if len(families) == 2 else families[0].any),
                host_port=port.host_port + number,
                protocol=port.protocol,
                node=container.spec.node,
                container_port=port.container_port + number,
                network=open_to[0].spec.network,
            )
