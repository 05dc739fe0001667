"""Podman's answer to :meth:`netlab.engine.contract.Engine.describe`: what is on the host by now."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.contract import ContainerState, HostFacts, NetworkState
from netlab.engine.podman import publish, rootless
from netlab.engine.podman.dns_names import names, resolvers
from netlab.engine.podman.etc import hosts_file, resolv_conf
from netlab.engine.podman.host_state import Container, Endpoint, HostState, LiveNetwork
from netlab.engine.podman.networks import COMPOSE_DEFAULT
from netlab.model.family import Family
from netlab.model.identifiers import mac
from netlab.model.plan import Interface, NetworkFacts, Route, Sysctl
from netlab.model.rules import IptablesRuleset, NftTable


def describe(state: HostState) -> HostFacts:
    """What is on the host by now."""
    return HostFacts(
        engine=state.traits.name,
        networks=tuple(_network(state, network) for network in state.networks.values()),
        containers=tuple(_container(state, container) for container in state.containers.values()),
        interfaces=tuple(_interfaces(state)),
        sysctls=state.sysctls.all(),
        rulesets=tuple(_rulesets(state)),
        listeners=tuple(publish.listeners(state)),
        next_index=state.next_index,
        publications=tuple(p for c in state.containers.values() for p in publish.publications(state, c)),
        resolvers=tuple(resolvers(state)),
        notes=tuple(state.notes),
        choices=state.choices,
    )


def _network(state: HostState, network: LiveNetwork) -> NetworkState:
    facts = NetworkFacts(
        name=network.name,
        key=COMPOSE_DEFAULT if network.default else network.spec.label or network.name,
        host=state.host.name,
        bridge=network.bridge,
        subnets=tuple(str(network.subnet(family)) for family in network.families),
        gateways=tuple(str(network.gateway(family)) for family in network.families),
        internal=network.internal,
        members=tuple((node, e.ifname, _addresses(network, e)) for node, e in network.endpoints.items()),
        names=names(state, network),
    )
    return NetworkState(None if network.default else network.spec, facts)


def _addresses(network: LiveNetwork, endpoint: Endpoint) -> tuple[str, ...]:
    return tuple(f"{a}/{network.subnet(family).prefixlen}" for family, a in endpoint.addresses.items())


def _interfaces(state: HostState) -> Iterator[Interface]:
    """The bridges, then the host's ends of links to containers."""
    for network in state.networks.values():
        if network.index is not None:
            gateways = (f"{network.gateway(f)}/{network.subnet(f).prefixlen}" for f in network.families)
            yield Interface(
                name=network.bridge,
                kind="bridge",
                mac=network.mac if state.traits.own_bridge_mac else _lowest(network),
                mtu=network.options.mtu,
                addresses=tuple(gateways),
                index=network.index,
                reason=f"bridge of {network.title}",
            )
    for container in state.containers.values():
        for endpoint in container.endpoints:
            network = state.network_of(endpoint)
            yield Interface(
                name=endpoint.veth,
                kind="veth",
                mac=_mac(endpoint),
                mtu=network.options.mtu,
                peer=(endpoint.node, endpoint.ifname),
                master=network.bridge,
                index=endpoint.host_index,
                reason=f"{endpoint.node} on {network.title}",
            )


def _mac(endpoint: Endpoint) -> str:
    return mac("veth", endpoint.node, str(endpoint.host_index))


def _lowest(network: LiveNetwork) -> str:
    """A bridge without an address of its own has the lowest of its ports' (br_stp_recalculate_bridge_id)."""
    return min(map(_mac, network.endpoints.values()))


def _rulesets(state: HostState) -> Iterator[IptablesRuleset | NftTable]:
    """The tables of iptables, then netavark's own."""
    for tables in state.tables.values():
        written = tables.freeze()
        if written.tables:
            yield written
    if state.table is not None:
        yield state.table.freeze()


# -- containers


def _container(state: HostState, container: Container) -> ContainerState:
    spec = container.spec
    namespace = _namespace(state, container)
    return ContainerState(
        spec=spec,
        running=container.running,
        starts=container.starts,
        namespace=namespace if namespace != spec.node else "",
        hostname=_hostname(state, container),
        interfaces=(*_own_interfaces(state, container), *rootless.interfaces(state, container)),
        routes=(*_routes(state, container), *_routes_of_user(state, container)),
        user_network=rootless.user_network(state, container),
        sysctls=tuple(_sysctls(state, container)) if namespace == spec.node else (),
        hosts_file=hosts_file(state, container),
        resolv_conf=resolv_conf(state, container),
    )


def _hostname(state: HostState, container: Container) -> str:
    owner = state.containers.get(container.shares)
    if owner is not None:
        return _hostname(state, owner)
    hosts = container.spec.network_mode == "host" or container.spec.uts_host
    return state.host.name if hosts and not container.spec.hostname else container.hostname


def _namespace(state: HostState, container: Container) -> str:
    """The node whose network namespace it is in; those that share one keep it when its owner stops."""
    owner = state.containers.get(container.shares)
    if owner is not None and (owner.running or not container.running):
        return _namespace(state, owner)
    return state.host.name if container.spec.network_mode == "host" else container.spec.node


def _own_interfaces(state: HostState, container: Container) -> Iterator[Interface]:
    for endpoint in container.endpoints:
        network = state.network_of(endpoint)
        yield Interface(
            name=endpoint.ifname,
            kind="veth",
            mac=endpoint.mac,
            mtu=network.options.mtu,
            peer=(state.host.name, endpoint.veth),
            addresses=_addresses(network, endpoint),
            index=endpoint.index,
            reason=f"{container.spec.node} on {network.title}",
        )


def _routes(state: HostState, container: Container) -> Iterator[Route]:
    """A default route by every network that leads out, in the order in which they are added.

    The kernel puts a route of the same metric in front of those that are there.
    """
    for endpoint in container.endpoints:
        network = state.network_of(endpoint)
        leads_out = network.options.default_route and not network.internal
        for family in network.families if leads_out else ():
            via, metric = str(network.gateway(family)), network.options.metric
            yield Route("default", via, endpoint.ifname, metric=metric, protocol="static")


def _routes_of_user(state: HostState, container: Container) -> Iterator[Route]:
    if container.running:
        yield from rootless.routes(state, container)


def _sysctls(state: HostState, container: Container) -> Iterator[Sysctl]:
    yield Sysctl("net.ipv4.ping_group_range", "0 0", "Podman lets root in a container ping")
    for key, value in container.spec.sysctls.items():
        yield Sysctl(key, value, "the service's own (sysctls)")
    for endpoint in container.endpoints:
        name = endpoint.ifname
        yield Sysctl(f"net.ipv6.conf.{name}.autoconf", "0", "no router may give it addresses")
        if state.traits.loose_rp_filter:
            yield Sysctl(f"net.ipv4.conf.{name}.arp_notify", "1", "others are told of its address")
            yield Sysctl(f"net.ipv4.conf.{name}.rp_filter", "2", "any route back to the sender will do")
        if Family.IPV6 in endpoint.addresses:
            yield Sysctl(f"net.ipv6.conf.{name}.accept_dad", "0", "its address is no duplicate")
