"""What Docker puts into a container: interfaces, routes, sysctls, rules, and files in /etc."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from netlab.engine.contract import ContainerState
from netlab.engine.docker.etc import hostname, hosts_file, resolv_conf
from netlab.engine.docker.host_state import Container, Endpoint, HostState, LiveNetwork
from netlab.engine.docker.networks import has_ipv6
from netlab.engine.docker.resolver import ruleset
from netlab.engine.docker.traits import UdpFlush
from netlab.model.family import Family, bare
from netlab.model.identifiers import mac
from netlab.model.plan import ForgottenConnections, Interface, Publication, Resolver, Route, Sysctl


def container_state(
    state: HostState,
    container: Container,
    resolver: Resolver | None,
    publications: tuple[Publication, ...],
    without_ipv6: frozenset[str],
) -> ContainerState:
    """A container in the form of the contract; ``without_ipv6`` is the result of :func:`without_ipv6`."""
    spec = container.spec
    namespace = _namespace(state, container)
    guest = namespace != spec.node
    interfaces = tuple(_interfaces(state, container, without_ipv6))
    routes = tuple(_routes(state, container, without_ipv6))
    return ContainerState(
        spec=spec,
        running=container.running,
        starts=container.starts,
        namespace=namespace if guest else "",
        hostname=state.host.name if spec.uts_host else hostname(state, container),
        hostname_file=hostname(state, container) if spec.uts_host else "",
        interfaces=interfaces,
        routes=routes,
        sysctls=tuple(_shared_sysctls(state, container) if guest else _sysctls(state, container)),
        rulesets=() if resolver is None else (ruleset(state, udp=resolver.udp, tcp=resolver.tcp),),
        hosts_file=hosts_file(state, container),
        resolv_conf=resolv_conf(state, container),
        forgets=_forgets(state.traits.udp_flush, interfaces, routes, publications),
    )


def _forgets(
    flush: UdpFlush,
    interfaces: tuple[Interface, ...],
    routes: tuple[Route, ...],
    publications: tuple[Publication, ...],
) -> ForgottenConnections:
    """Libnetwork deletes what is answered by the endpoint that leads out, the only one with such state.

    From 23.0 on it also deletes what was sent to published UDP ports, in one way or another
    (:data:`~netlab.engine.docker.traits.UdpFlush`).
    """
    ways_out = [route.interface for route in routes if route.destination == "default"]
    answered_by = tuple(bare(a) for i in interfaces if i.name in ways_out for a in i.addresses)
    udp = [p for p in publications if p.protocol == "udp"]
    host_ports = tuple(("", p.host_port) for p in udp)
    match flush:
        case "none":
            return ForgottenConnections(answered_by)
        case "host-port":
            return ForgottenConnections(answered_by, udp_opened=host_ports, udp_closed=host_ports)
        case "host-port-opened":
            return ForgottenConnections(answered_by, udp_opened=host_ports)
        case "container-port-exact":
            exact = tuple((p.host_address, p.container_port) for p in udp if p.host_address)
            return ForgottenConnections(answered_by, udp_opened=exact)
        case "container-port":
            bound = tuple((p.host_address, p.container_port) for p in udp)
            return ForgottenConnections(answered_by, udp_opened=bound)
    assert_never(flush)


def _namespace(state: HostState, container: Container) -> str:
    """The node whose network namespace a container is in.

    Containers that share a namespace keep it when its owner stops or restarts; then it has only lo.
    """
    mode = container.spec.network_mode
    if mode.startswith("container:"):
        owner = _joins(state, container)
        left = owner is None or (container.running and not owner.running)
        return container.spec.node if owner is None or left else _namespace(state, owner)
    return state.host.name if mode == "host" else container.spec.node


def port(state: HostState, network: LiveNetwork, endpoint: Endpoint) -> Interface:
    """The host's end of a container's link: a port of the bridge."""
    return Interface(
        name=endpoint.veth,
        kind="veth",
        mac=mac("veth", endpoint.node, endpoint.veth),
        mtu=network.mtu,
        peer=(endpoint.node, endpoint.ifname),
        master=network.bridge,
        hairpin=not state.daemon.userland_proxy,
        index=endpoint.host_index,
        txqlen=0,  # as libnetwork makes its links
        reason=f"{endpoint.node} on {network.title}",
    )


def _interfaces(state: HostState, container: Container, without_ipv6: frozenset[str]) -> Iterator[Interface]:
    for endpoint in sorted(container.endpoints, key=lambda e: e.index):
        network = state.networks[endpoint.spec.network]
        yield Interface(
            name=endpoint.ifname,
            kind="veth",
            mac=endpoint.mac,
            mtu=network.mtu,
            peer=(state.host.name, endpoint.veth),
            addresses=_in_use(container.spec.node in without_ipv6, addresses(network, endpoint))
            + tuple(_link_local(endpoint)),
            index=endpoint.index,
            txqlen=0,
            reason=f"{container.spec.node} on {network.title}",
        )


def _in_use(ipv6_off: bool, given: tuple[str, ...]) -> tuple[str, ...]:
    """What the kernel keeps of what Docker gives: nothing of IPv6 where that is switched off."""
    return tuple(a for a in given if not (ipv6_off and Family.of(a) is Family.IPV6))


def addresses(network: LiveNetwork, endpoint: Endpoint) -> tuple[str, ...]:
    """The endpoint's addresses with their prefix lengths."""
    return tuple(
        f"{address}/{network.subnet(family).prefixlen}" for family, address in endpoint.addresses.items()
    )


def _link_local(endpoint: Endpoint) -> Iterator[str]:
    for address in endpoint.spec.link_local_ips:
        yield address if "/" in address else f"{address}/{16 if Family.of(address) is Family.IPV4 else 64}"


def _routes(state: HostState, container: Container, without_ipv6: frozenset[str]) -> Iterator[Route]:
    for family, endpoint in container.gateways.items():
        if container.spec.node in without_ipv6 and family is Family.IPV6:
            continue
        network = state.networks[endpoint.spec.network]
        via = network.next_hops.get(family) or str(network.gateway(family))
        yield Route("default", via=via, interface=endpoint.ifname)


def _sysctls(state: HostState, container: Container) -> Iterator[Sysctl]:
    yield from _ipv6_switches(state, container)
    if state.traits.unprivileged_ports:
        yield Sysctl(
            "net.ipv4.ip_unprivileged_port_start", "0", "Docker lets any user of a container bind any port"
        )
        yield Sysctl("net.ipv4.ping_group_range", "0 2147483647", "Docker lets any user of a container ping")
    for key, value in container.spec.sysctls.items():
        yield Sysctl(key, value, "the service's own (sysctls)")
    for endpoint in container.endpoints:
        name = endpoint.ifname.replace(".", "/")
        for key, value in endpoint.sysctls:
            yield Sysctl(key.replace("IFNAME", name), value, "an option of its endpoint (endpoint.sysctls)")


def _shared_sysctls(state: HostState, container: Container) -> Iterator[Sysctl]:
    """What a container writes to another one's namespace, which existed before it started."""
    if container.running and container.spec.sysctls and _joins(state, container) is not None:
        for key, value in container.spec.sysctls.items():
            yield Sysctl(key, value, f"the sysctls of {container.spec.node}, which shares the namespace")


def _joins(state: HostState, container: Container) -> Container | None:
    """The container that owns the namespace that this one joined; None if it has another by now."""
    mode, _, target = container.spec.network_mode.partition(":")
    other = state.containers.get(target) if mode == "container" else None
    order = list(state.containers)
    if other is None or order.index(container.spec.node) < order.index(target):
        return None  # the last one to start comes last
    return _joins(state, other) if other.spec.network_mode.startswith("container:") else other


def without_ipv6(state: HostState) -> frozenset[str]:
    """The containers whose namespace has IPv6 off, by their own sysctls or those of a container that shares
    it.
    """
    owners = [
        _joins(state, c) if c.spec.network_mode.startswith("container:") else c
        for c in state.containers.values()
        if c.ipv6_off
    ]
    return frozenset(owner.spec.node for owner in owners if owner is not None)


def _ipv6_switches(state: HostState, container: Container) -> Iterator[Sysctl]:
    """Which interfaces have IPv6 (libnetwork/osl): those on IPv6 networks alone.

    Where the service's own sysctls come last, its ``all`` decides for every interface.
    """
    key = "net.ipv6.conf.{}.disable_ipv6"
    overruled = state.traits.interfaces_first and key.format("all") in container.spec.sysctls
    every = [e for e in container.endpoints if has_ipv6(state, state.networks[e.spec.network])]
    endpoints = [] if overruled else every
    has_v6 = {e.ifname: Family.IPV6 in e.addresses for e in endpoints}
    if not state.traits.disables_ipv6_wholly:
        for ifname, has in has_v6.items():
            if not has:
                yield Sysctl(key.format(ifname), "1", f"no IPv6 network behind {ifname}")
        return
    why = "Docker starts a container without IPv6"
    yield Sysctl(key.format("all"), "1", why)
    yield Sysctl(key.format("default"), "1", why)
    if any(has_v6.values()):
        yield Sysctl(key.format("lo"), "0", "the container is on an IPv6 network")
    for ifname, has in has_v6.items():
        if has:
            yield Sysctl(key.format(ifname), "0", f"an IPv6 network behind {ifname}")
