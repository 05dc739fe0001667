"""Scenario → Plan: fold the events of each host, and lay out what stands."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from netlab import engine
from netlab.engine.contract import Refused, State
from netlab.engine.docker import publish
from netlab.engine.docker.container_facts import addresses, container_node, port, without_ipv6
from netlab.engine.docker.dns_names import names, resolver
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.docker.names import link_local, mac
from netlab.engine.docker.networks import has_ipv6
from netlab.model.errors import Position, Problem, ScenarioError, UsageError
from netlab.model.event import Event
from netlab.model.family import Family
from netlab.model.limits import BRIDGE_PORTS
from netlab.model.plan import (
    Interface,
    NetworkFacts,
    Node,
    Note,
    Plan,
    Publication,
    RealFirewall,
    Resolver,
    Responder,
    Route,
    Sysctl,
)
from netlab.model.rules import IpSet, IptablesRuleset, NftFile, Ruleset
from netlab.model.scenario import Host, Scenario, Service
from netlab.plan.events import positioned_events, replicas
from netlab.plan.kernel_check import check_kernel
from netlab.plan.node_names import distinct
from netlab.plan.outside import Segments, outside_node


def make(scenario: Scenario, histories: Mapping[str, Sequence[Event]] | None = None) -> Plan:
    """The plan of a scenario: pure, and the same byte for byte on every machine.

    ``histories`` says of each host what has happened to its engine, instead of what the scenario says.
    Raises ScenarioError, at the network, service or daemon.json key that a real engine would refuse.
    """
    scenario = distinct(scenario)
    nodes: list[Node] = []
    networks: list[NetworkFacts] = []
    publications: list[Publication] = []
    notes: list[Note] = []
    resolvers: list[Resolver] = []
    segments = Segments.of(scenario)
    services = {r.node: s for s in scenario.services for r in replicas(scenario, s)}
    for host in scenario.hosts:
        world = (fold(scenario, host) if histories is None else refold(host, histories[host.name])).world
        _check_ports(scenario, world)
        nodes.append(_host_node(world, segments, tuple(segments.guests(scenario, host.name))))
        off = without_ipv6(world)
        for container in world.containers.values():
            service = services[container.spec.node]
            server = resolver(world, container, service)
            nodes.append(container_node(world, container, service, server, off))
            resolvers += [server] if server is not None else []
        networks += [_facts(world, network) for network in world.networks.values()]
        publications += _publications(world)
        notes += _notes(scenario, world, services)
    nodes += [outside_node(scenario, outside, outside.name, segments) for outside in scenario.outside]
    nodes += segments.nodes()
    _check_names(scenario, nodes)
    check_kernel(scenario, nodes, publications)
    return Plan(
        name=scenario.name,
        project=scenario.project,
        nodes=tuple(nodes),
        networks=tuple(networks),
        publications=tuple(publications),
        expect=scenario.expect,
        resolvers=tuple(resolvers),
        notes=tuple(dict.fromkeys(notes)),
    )


def _notes(scenario: Scenario, world: HostState, services: Mapping[str, Service]) -> Iterator[Note]:
    """What the engine noted, each at the place in the file that it is about."""
    networks = {network.name: network for network in scenario.networks}
    for note in world.notes:
        where, what = world.host.position, ""
        if note.subject == "network" and note.name in networks:
            where, what = networks[note.name].position, f"networks.{networks[note.name].key}: "
        elif note.subject == "container" and note.name in services:
            where, what = services[note.name].position, f"services.{services[note.name].name}: "
        elif note.subject == "daemon":
            where = world.host.daemon_positions.get(note.name, where)
        yield Note(where, what + note.text, note.by_chance)


def fold(scenario: Scenario, host: Host) -> State[HostState]:
    """The engine's state on one host after everything that the scenario says; raises ScenarioError."""
    try:
        chosen = engine.get(host.engine)
        state = chosen.start(_prepared(host))
    except Refused as refused:
        position = host.daemon_positions.get(refused.name, host.position)
        raise ScenarioError(
            [Problem(position, f"{host.engine} refuses to start: {refused.reason}")]
        ) from None
    except UsageError as error:
        raise ScenarioError([Problem(host.position, str(error))]) from None
    for event, position in positioned_events(scenario, host.name):
        try:
            state = chosen.step(state, event)
        except Refused as refused:
            where = _position(scenario, refused, position)
            raise ScenarioError([Problem(where, f"{chosen.name} refuses: {refused.reason}")]) from None
    return state


def refold(host: Host, history: Iterable[Event]) -> State[HostState]:
    """The engine's state after a history that it took before; raises Refused if it did not."""
    chosen = engine.get(host.engine)
    state = chosen.start(_prepared(host))
    for event in history:
        state = chosen.step(state, event)
    return state


def _prepared(host: Host) -> Host:
    """The host with its own firewall's rulesets, which are imported only where it has one."""
    if host.firewall.kind == "none":
        return host
    from netlab.firewall import prepared

    return prepared(host)


def _position(scenario: Scenario, refused: Refused, otherwise: Position) -> Position:
    if refused.subject == "network":
        return next((n.position for n in scenario.networks if n.name == refused.name), otherwise)
    return otherwise


def _check_ports(scenario: Scenario, world: HostState) -> None:
    for network in world.networks.values():
        if len(network.endpoints) > BRIDGE_PORTS:
            where = next(
                (n.position for n in scenario.networks if n.name == network.name), world.host.position
            )
            reason = (
                f"{len(network.endpoints)} containers on {network.title}: a bridge takes {BRIDGE_PORTS} ports"
            )
            raise ScenarioError([Problem(where, reason)])


def _check_names(scenario: Scenario, nodes: list[Node]) -> None:
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            where = _origin(scenario, node)
            reason = f"there are two nodes named {node.name!r}: a service, a host or an outside node"
            raise ScenarioError([Problem(where, reason)])
        seen.add(node.name)


def _origin(scenario: Scenario, node: Node) -> Position:
    entries: list[Host | Service] = [*scenario.services, *scenario.hosts]
    positions = {entry.name: entry.position for entry in entries}
    positions |= {outside.name: outside.position for outside in scenario.outside}
    return positions.get(node.name, scenario.hosts[0].position)


def _host_node(world: HostState, segments: Segments, guests: tuple[Interface, ...]) -> Node:
    host = world.host
    proxy = host.proxy
    stands = tuple(rulesets(world))
    if world.daemon.userland_proxy_path and proxy == "shared":
        proxy = world.daemon.userland_proxy_path
    return Node(
        name=host.name,
        kind="host",
        namespace=host.name,
        hostname=host.name,
        interfaces=(*_interfaces(world, segments), *guests),
        sysctls=tuple(_sysctls(world)),
        rulesets=stands,
        firewall=_real(world, stands),
        routes=tuple(_routes(world)),
        commands=host.rules,
        listeners=tuple(publish.listeners(world)),
        responders=tuple(Responder(own.protocol, own.port, host.name) for own in host.listen),
        engine=world.traits.name,
        host=host.name,
        proxy=proxy,
    )


def _routes(world: HostState) -> Iterator[Route]:
    """What the daemon itself adds to the routes that the kernel makes of addresses."""
    if not world.traits.routes_ipv6_again:
        return
    for network in world.networks.values():
        if network.taken_up and Family.IPV6 in network.families:
            yield Route(str(network.subnet(Family.IPV6)), interface=network.bridge)


def _sysctls(world: HostState) -> Iterator[Sysctl]:
    """The host's settings; an interface without IPv6 has none of its."""
    without = {n.bridge for n in world.networks.values() if not has_ipv6(world, n)}
    for sysctl in world.sysctls.all():
        words = sysctl.key.split(".")
        if not (words[:3] == ["net", "ipv6", "conf"] and words[3] in without):
            yield sysctl


def _interfaces(world: HostState, segments: Segments) -> Iterator[Interface]:
    index = 2
    for interface in world.host.interfaces:
        yield segments.plug(world.host.name, interface, index)
        index += 1
    for tenant in world.host.bridges:
        yield Interface(
            name=tenant.name,
            kind="bridge",
            mac=mac("tenant", world.host.name, tenant.name),
            addresses=tenant.addresses,
            index=index,
            reason="another tenant's bridge",
        )
        index += 1
    for network in world.networks.values():
        if network.index is not None:
            yield _bridge(world, network)
    for container in world.containers.values():
        for endpoint in container.endpoints:
            yield port(world, world.networks[endpoint.spec.network], endpoint)


def _bridge(world: HostState, network: LiveNetwork) -> Interface:
    empty = not network.endpoints and world.traits.empty_bridge_mtu
    return Interface(
        name=network.bridge,
        kind="bridge",
        mac=network.mac,
        mtu=1500 if empty else network.mtu,
        addresses=tuple(_bridge_addresses(world, network)),
        index=network.index,
        txqlen=0,
        reason=f"bridge of {network.title}",
    )


def _bridge_addresses(world: HostState, network: LiveNetwork) -> Iterator[str]:
    for family in network.families:
        gateway = network.gateway(family)
        if gateway is None or (family is Family.IPV4 and network.inhibit_ipv4):
            continue
        if network.isolated(family):
            continue
        yield f"{gateway}/{network.subnet(family).prefixlen}"
        if family is Family.IPV6 and world.traits.bridge_link_local:
            yield "fe80::1/64"
    off = Family.IPV6 in network.families and network.isolated(Family.IPV6)
    dropped = network.taken_up and Family.IPV6 in network.families and world.traits.drops_link_local
    if network.had_ports and not network.endpoints and network.mac is not None and not (off or dropped):
        yield f"{link_local(network.mac)}/64"  # with a port, the kernel gives it by itself


def _real(world: HostState, stands: Sequence[Ruleset]) -> RealFirewall | None:
    """The firewall tool that runs itself, if the scenario asks for it."""
    if "run" not in world.host.firewall.options:
        return None
    from netlab.firewall.real import real

    return real(world.host, tuple(world.zone), world.traits.firewalld_policy, stands)


def _with_firewall(world: HostState, written: list[IptablesRuleset]) -> Sequence[Ruleset]:
    """The engine's rules with those of a firewall that the engine has told of its bridges."""
    if world.host.firewall.kind != "firewalld":
        return written
    from netlab.firewall import completed

    return completed(world.host, tuple(world.zone), world.traits.firewalld_policy, written)


def rulesets(world: HostState) -> Iterator[Ruleset]:
    """What is loaded on a host, in order: the administrator's nftables file, then the engine's tables."""
    own = world.host.firewall.files.get("nftables")
    if own is not None:
        yield NftFile(own, "firewall.nftables")
    for ruleset in _with_firewall(world, [tables.freeze() for tables in world.tables.values()]):
        if not isinstance(ruleset, IptablesRuleset):
            yield ruleset
        elif ruleset.tables:
            sets = world.ip_sets[ruleset.family].items()
            made = tuple(IpSet(name, ruleset.family, (*members,)) for name, members in sets)
            yield replace(ruleset, sets=made) if made else ruleset
    yield from world.nft.freeze()


def _facts(world: HostState, network: LiveNetwork) -> NetworkFacts:
    return NetworkFacts(
        name=network.name,
        key=network.spec.label if not network.default_bridge else network.name,
        host=world.host.name,
        bridge=network.bridge,
        subnets=tuple(str(network.subnet(family)) for family in network.families),
        gateways=tuple(str(g) for f in network.families if (g := network.gateway(f)) is not None),
        internal=network.internal,
        members=tuple(
            (node, endpoint.ifname, addresses(network, endpoint))
            for node, endpoint in network.endpoints.items()
        ),
        names=names(world, network),
    )


def _publications(world: HostState) -> Iterator[Publication]:
    """One entry a published port; a wildcard of both families is one entry with no address."""
    wild = {"0.0.0.0": "::", "::": "0.0.0.0"}
    for container in world.containers.values():
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
            elif binding.host_address in wild and world.traits.dual_stack_proxy:
                made[key] = ""
            else:
                made[key] = binding.host_address
        for (protocol, _, host_port, container_port), address in made.items():
            yield Publication(
                host=world.host.name,
                host_address=address,
                host_port=host_port,
                protocol=protocol,  # type: ignore[arg-type]
                node=container.spec.node,
                container_port=container_port,
                network=network,
            )
