"""Docker's answer to :meth:`netlab.engine.contract.Engine.describe`.

:class:`HostState` holds what dockerd knows. Here it becomes what is on the host: links, addresses, routes,
sysctls, rulesets and sockets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netlab.engine.contract import HostFacts, NetworkState
from netlab.engine.docker import firewalld, publish
from netlab.engine.docker.container_facts import addresses, container_state, port, without_ipv6
from netlab.engine.docker.dns_names import names, resolver
from netlab.engine.docker.host_state import Container, HostState, LiveNetwork
from netlab.engine.docker.networks import has_ipv6
from netlab.model.family import Family
from netlab.model.identifiers import link_local
from netlab.model.plan import Interface, NetworkFacts, Publication, Route, Sysctl
from netlab.model.rules import IpSet, IptablesRuleset, NftTable


def describe(state: HostState) -> HostFacts:
    """What is on the host by now."""
    off = without_ipv6(state)
    containers = state.containers.items()
    servers = {node: resolver(state, container) for node, container in containers}
    publications = {node: tuple(_publications(state, container)) for node, container in containers}
    return HostFacts(
        engine=state.traits.name,
        running=state.running,
        networks=tuple(_network(state, network) for network in state.networks.values()),
        containers=tuple(
            container_state(state, container, servers[node], publications[node], off)
            for node, container in containers
        ),
        interfaces=tuple(_interfaces(state)),
        routes=tuple(_routes(state)),
        sysctls=tuple(_sysctls(state)),
        rulesets=tuple(_rulesets(state)),
        listeners=tuple(publish.listeners(state)),
        next_index=state.next_index,
        proxy=state.daemon.userland_proxy_path,
        publications=tuple(one for found in publications.values() for one in found),
        resolvers=tuple(server for server in servers.values() if server is not None),
        firewalld=firewalld.configured(state),
        notes=tuple(state.notes),
        failures=tuple(state.failures),
    )


def _routes(state: HostState) -> Iterator[Route]:
    """What the daemon itself adds to the routes that the kernel makes of addresses."""
    if not state.traits.routes_ipv6_again:
        return
    for network in state.networks.values():
        if network.taken_up and Family.IPV6 in network.families:
            yield Route(str(network.subnet(Family.IPV6)), interface=network.bridge)


def _sysctls(state: HostState) -> Iterator[Sysctl]:
    """The host's settings; an interface without IPv6 has none of its."""
    without = {n.bridge for n in state.networks.values() if not has_ipv6(state, n)}
    for sysctl in state.sysctls.all():
        words = sysctl.key.split(".")
        if not (words[:3] == ["net", "ipv6", "conf"] and words[3] in without):
            yield sysctl


def _interfaces(state: HostState) -> Iterator[Interface]:
    """The bridges, then the host's ends of links to containers."""
    for network in state.networks.values():
        if network.index is not None:
            yield _bridge(state, network)
    for container in state.containers.values():
        for endpoint in container.endpoints:
            yield port(state, state.networks[endpoint.spec.network], endpoint)


def _bridge(state: HostState, network: LiveNetwork) -> Interface:
    empty = not network.endpoints and state.traits.empty_bridge_mtu
    return Interface(
        name=network.bridge,
        kind="bridge",
        mac=network.mac,
        mtu=1500 if empty else network.mtu,
        addresses=tuple(_bridge_addresses(state, network)),
        index=network.index,
        txqlen=0,
        reason=f"bridge of {network.title}",
    )


def _bridge_addresses(state: HostState, network: LiveNetwork) -> Iterator[str]:
    for family in network.families:
        gateway = network.gateway(family)
        if gateway is None or (family is Family.IPV4 and network.inhibit_ipv4):
            continue
        if network.isolated(family):
            continue
        yield f"{gateway}/{network.subnet(family).prefixlen}"
        if family is Family.IPV6 and state.traits.bridge_link_local:
            yield "fe80::1/64"
    off = Family.IPV6 in network.families and network.isolated(Family.IPV6)
    dropped = network.taken_up and Family.IPV6 in network.families and state.traits.drops_link_local
    if network.had_ports and not network.endpoints and network.mac is not None and not (off or dropped):
        yield f"{link_local(network.mac)}/64"  # with a port, the kernel gives it by itself


def _rulesets(state: HostState) -> Iterator[IptablesRuleset | NftTable]:
    """The tables of iptables, with the ipsets that their rules match, then Docker's own tables."""
    for family, tables in state.tables.items():
        written = tables.freeze()
        sets = {one.name: one for one in written.sets}
        sets |= {n: IpSet(n, family, (*members,)) for n, members in state.ip_sets[family].items()}
        if written.tables:
            yield replace(written, sets=tuple(sets.values()))
    yield from state.nft.freeze()


def _network(state: HostState, network: LiveNetwork) -> NetworkState:
    facts = NetworkFacts(
        name=network.name,
        key=network.spec.label if not network.default_bridge else network.name,
        host=state.host.name,
        bridge=network.bridge,
        subnets=tuple(str(network.subnet(family)) for family in network.families),
        gateways=tuple(str(g) for f in network.families if (g := network.gateway(f)) is not None),
        internal=network.internal,
        members=tuple(
            (node, endpoint.ifname, addresses(network, endpoint))
            for node, endpoint in network.endpoints.items()
        ),
        names=names(state, network),
    )
    return NetworkState(None if network.default_bridge else network.spec, facts)


def _publications(state: HostState, container: Container) -> Iterator[Publication]:
    """One entry a published port; a wildcard of both families is one entry with no address."""
    wild = {"0.0.0.0": "::", "::": "0.0.0.0"}
    made: dict[tuple[str, str, int, int], str] = {}
    network = ""
    for binding in container.bindings:
        if not binding.host_port:
            continue
        network = binding.network
        key = (binding.protocol, binding.host_address, binding.host_port, binding.port)
        twin = (binding.protocol, wild.get(binding.host_address, ""), binding.host_port, binding.port)
        if twin in made:
            made[twin] = ""
        elif binding.host_address in wild and state.traits.dual_stack_proxy:
            made[key] = ""
        else:
            made[key] = binding.host_address
    for (protocol, _, host_port, container_port), address in made.items():
        yield Publication(
            host=state.host.name,
            host_address=address,
            host_port=host_port,
            protocol=protocol,  # type: ignore[arg-type]
            node=container.spec.node,
            container_port=container_port,
            network=network,
        )
