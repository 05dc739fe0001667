"""Turn a scenario into a plan: apply the events of each host, and lay out the result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from netlab import engine, firewall
from netlab.engine.contract import ContainerState, Engine, HostFacts, ParentFacts, Refused
from netlab.engine.found import as_found
from netlab.model.errors import UsageError
from netlab.model.event import Event, HostFound
from netlab.model.family import FAMILIES, Family
from netlab.model.identifiers import mac
from netlab.model.limits import BRIDGE_PORTS
from netlab.model.nft_listing import listed_tables
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
    Rights,
    Route,
    Unpublished,
)
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.rules import IptablesRuleset, NftFile, NftTable, Ruleset
from netlab.model.scenario import Host, HostRule, Scenario, Service
from netlab.plan.events import UNREAD, positioned_events, replicas
from netlab.plan.kernel_check import check_kernel
from netlab.plan.node_names import distinct
from netlab.plan.outside import Segments, outside_node
from netlab.plan.placeholders import with_bridges
from netlab.plan.publications import unpublished
from netlab.plan.responders import responders
from netlab.plan.rights import refused_rights, rights_of
from netlab.plan.user_networks import linked, linked_parent, on_host, wire, wires
from netlab.scenario.events import in_running_lab


@dataclass(frozen=True)
class EngineOnHost:
    """An engine on its host after some events.

    ``host`` is prepared: it includes the rulesets and sysctls of its own firewall.
    """

    host: Host
    engine: Engine[Any]
    state: Any

    @cached_property
    def facts(self) -> HostFacts:
        """What the engine has left on the host."""
        return self.engine.describe(self.state)

    def after(self, events: Iterable[Event]) -> EngineOnHost:
        """Some events later; raises Refused."""
        state = self.state
        for event in events:
            found = self.host.found
            if found is not None and isinstance(event, HostFound) and event == UNREAD:
                event = as_found(self.engine.describe(state), found)
            state = self.engine.step(state, event)
        return replace(self, state=state)


def make(scenario: Scenario, engines: Mapping[str, EngineOnHost] | None = None) -> Plan:
    """The plan of a scenario: pure, and the same byte for byte on every machine.

    ``engines`` are those of the hosts, by name, where more has happened to them than the scenario says.
    Raises ScenarioError, at the network, service or daemon.json key that a real engine would refuse.
    """
    scenario = distinct(scenario)
    nodes: list[Node] = []
    networks: list[NetworkFacts] = []
    publications: list[Publication] = []
    withheld: list[Unpublished] = []
    silent: dict[str, None] = {}
    notes: list[Note] = []
    resolvers: list[Resolver] = []
    segments = Segments.of(scenario)
    services = {r.node: s for s in scenario.services for r in replicas(scenario, s)}
    choice, choices = 1, 1
    for one in scenario.hosts:
        on_host = fold(scenario, one) if engines is None else engines[one.name]
        host, facts = on_host.host, on_host.facts
        choice, choices = choice + choices * (host.choice - 1), choices * facts.choices
        _check_ports(scenario, host, facts)
        guests = tuple(segments.guests(scenario, host.name))
        if facts.parent is not None:
            outer = _host_node(host, bare_host(facts, facts.parent), segments, guests)
            nodes.append(replace(outer, user_networks=(facts.parent.user_network,)))
            nodes.append(_namespace_of_engine(facts, facts.parent))
            nodes.append(wire(facts.parent.user_network, facts.parent.interface))
            host = facts.parent.inside
        else:
            nodes.append(_host_node(host, facts, segments, guests))
        answers = responders(host, facts, services)
        for container in facts.containers:
            node = container.spec.node
            nodes += wires(container)
            nodes.append(_container_node(host, facts, container, services[node], answers.get(node, ())))
            if container.running and not answers.get(node) and _is_silent(services[node]):
                silent[services[node].name] = None
        withheld += unpublished(facts, services)
        resolvers += facts.resolvers
        networks += [network.facts for network in facts.networks]
        publications += facts.publications
        notes += _notes(scenario, host, facts, services)
    notes += [note for node in nodes if node.kind == "container" for note in _refused(node, services)]
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
        exposures=scenario.exposures,
        resolvers=tuple(resolvers),
        notes=tuple(dict.fromkeys(notes)),
        unpublished=tuple(withheld),
        silent=tuple(silent),
        events=in_running_lab(scenario.events) if engines is None else (),
        choices=choices,
        choice=choice,
    )


def _notes(
    scenario: Scenario, host: Host, facts: HostFacts, services: Mapping[str, Service]
) -> Iterator[Note]:
    """What the engine noted, each at the place in the file that it is about."""
    networks = {network.name: network for network in scenario.networks}
    for note in facts.notes:
        where, what = host.position, ""
        if note.subject == "network" and note.name in networks:
            where, what = networks[note.name].position, f"networks.{networks[note.name].key}: "
        elif note.subject == "container" and note.name in services:
            where, what = services[note.name].position, f"services.{services[note.name].name}: "
        elif note.subject == "daemon":
            where = host.daemon_positions.get(note.name, where)
        yield Note(where, what + note.text, note.by_chance)


def _is_silent(service: Service) -> bool:
    """Whether nothing says on which ports it, or another in its network, answers."""
    return not (service.command or service.ports or service.expose)


def _refused(node: Node, services: Mapping[str, Service]) -> Iterator[Note]:
    """What the program of a container asks for and does not get."""
    service = services[node.name]
    for text in refused_rights(service, in_host_network=node.namespace == node.host):
        yield Note(service.position, f"services.{service.name}: {text}")


def fold(scenario: Scenario, host: Host) -> EngineOnHost:
    """The engine of one host after everything that the scenario says; raises ScenarioError."""
    try:
        on_host = _start(host)
    except Refused as refused:
        position = host.daemon_positions.get(refused.name, host.position)
        raise ScenarioError(
            [Problem(position, f"{host.engine} refuses to start: {refused.reason}")]
        ) from None
    except ScenarioError:  # the firewall's, with a place of its own
        raise
    except UsageError as error:
        raise ScenarioError([Problem(host.position, str(error))]) from None
    for event, position in positioned_events(scenario, host.name):
        try:
            on_host = on_host.after([event])
        except Refused as refused:
            where = _position(scenario, refused, position)
            raise ScenarioError(
                [Problem(where, f"{on_host.engine.name} refuses: {refused.reason}")]
            ) from None
    if host.choice > on_host.facts.choices:
        ways = number_of_ways(on_host.facts.choices, on_host.engine.name)
        raise ScenarioError([Problem(host.position, f"choice {host.choice}: {ways}")])
    return on_host


def number_of_ways(ways: int, whose: str) -> str:
    """How much there is to choose from, in words."""
    if ways == 1:
        return f"{whose} leaves nothing to chance here that could be chosen"
    return f"what {whose} leaves to chance can come out in {ways} ways: 1 to {ways}"


def refold(host: Host, events: Iterable[Event]) -> EngineOnHost:
    """The engine of one host after events that it took before; raises Refused if it did not."""
    return _start(host).after(events)


def _start(host: Host) -> EngineOnHost:
    chosen: Engine[Any] = engine.get(host.engine)
    if host.rootless:
        chosen = engine.rootless(chosen)
    if host.beside:
        chosen = engine.together(chosen, engine.get(host.beside))
    ready = _prepared(host)
    return EngineOnHost(ready, chosen, chosen.start(ready))


def _prepared(host: Host) -> Host:
    """The host with the rulesets of its own firewall, if it has one."""
    if host.firewall.kind == "none":
        return host
    return firewall.prepared(host)


def _position(scenario: Scenario, refused: Refused, otherwise: Position) -> Position:
    if refused.subject == "network":
        return next((n.position for n in scenario.networks if n.name == refused.name), otherwise)
    return otherwise


def _check_ports(scenario: Scenario, host: Host, facts: HostFacts) -> None:
    """What the kernel refuses of a bridge, at the network."""
    positions = {network.name: network.position for network in scenario.networks}
    for network in (known.facts for known in facts.networks):
        if len(network.members) > BRIDGE_PORTS:
            reason = (
                f"{len(network.members)} containers on {network.key}: a bridge takes {BRIDGE_PORTS} ports"
            )
            raise ScenarioError([Problem(positions.get(network.name, host.position), reason)])


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


# -- nodes


def _host_node(host: Host, facts: HostFacts, segments: Segments, guests: tuple[Interface, ...]) -> Node:
    stands = tuple(rulesets(host, facts))
    own = tuple(_own_interfaces(host, segments))
    return Node(
        name=host.name,
        kind="host",
        namespace=host.name,
        hostname=host.name,
        interfaces=(*own, *facts.interfaces, *guests),
        sysctls=facts.sysctls,
        rulesets=stands,
        firewall=_real(host, facts, stands),
        routes=(*facts.routes, *_own_routes(host)),
        commands=(
            *_policy_routes(host),
            *host.routing_policy,
            *with_bridges(host.rules, [network.facts for network in facts.networks]),
        ),
        listeners=facts.listeners,
        responders=tuple(
            Responder(
                own.protocol, own.port, own.program or host.name, host.udp_routed and own.protocol == "udp"
            )
            for own in host.listen
        ),
        engine=facts.engine,
        host=host.name,
        proxy=facts.proxy if facts.proxy and host.proxy == "shared" else host.proxy,
        user_networks=tuple(on_host(facts, own)),
    )


def bare_host(facts: HostFacts, parent: ParentFacts) -> HostFacts:
    """What is on the host of an engine that lives in a namespace of its user's."""
    return HostFacts(
        engine=facts.engine,
        sysctls=parent.sysctls,
        rulesets=parent.rulesets,
        listeners=parent.listeners,
    )


def _namespace_of_engine(facts: HostFacts, parent: ParentFacts) -> Node:
    """The namespace in which a rootless engine has its bridges, rules and proxies."""
    name = parent.inside.name
    return Node(
        name=name,
        kind="host",
        namespace=name,
        hostname=name,
        interfaces=(linked_parent(parent), *facts.interfaces),
        sysctls=facts.sysctls,
        rulesets=tuple(rulesets(parent.inside, facts)),
        routes=(*facts.routes, *_own_routes(parent.inside)),
        listeners=facts.listeners,
        engine=facts.engine,
        host=name,
        proxy=facts.proxy or "shared",
    )


def _own_routes(host: Host) -> Iterator[Route]:
    """The host's routes in the main table."""
    for route in host.routes:
        if route.table is None:
            yield Route(route.destination, via=route.via, interface=route.interface)


def _policy_routes(host: Host) -> Iterator[HostRule]:
    """The host's routes in other tables, which only rules of ``ip rule`` lead to."""
    for route in host.routes:
        if route.table is not None:
            by = (("via", route.via), ("dev", route.interface), ("table", str(route.table)))
            words = [word for key, value in by if value for word in (key, value)]
            yield HostRule(("ip", "route", "add", route.destination, *words), route.position, at_boot=True)


def _own_interfaces(host: Host, segments: Segments) -> Iterator[Interface]:
    """What the host has without its engine: its interfaces, then other tenants' bridges, numbered from 2."""
    for index, interface in enumerate(host.interfaces, 2):
        yield segments.plug(host.name, interface, index)
    for index, tenant in enumerate(host.bridges, 2 + len(host.interfaces)):
        yield Interface(
            name=tenant.name,
            kind="bridge",
            mac=mac("tenant", host.name, tenant.name),
            addresses=tenant.addresses,
            index=index,
            reason="another tenant's bridge",
        )


def _container_node(
    host: Host, facts: HostFacts, container: ContainerState, service: Service, answers: tuple[Responder, ...]
) -> Node:
    """The node of a container; one that is stopped is a namespace with nothing in it."""
    spec = container.spec
    return Node(
        name=spec.node,
        kind="container",
        namespace=container.namespace or spec.node,
        hostname=container.hostname or spec.node,
        hostname_file=container.hostname_file,
        interfaces=linked(container),
        routes=container.routes,
        sysctls=container.sysctls,
        rulesets=container.rulesets,
        responders=answers,
        command=service.command if container.running else (),
        rights=rights_of(service) if service.command else Rights(),
        commands=service.rules if container.running else (),
        hosts_file=container.hosts_file,
        resolv_conf=container.resolv_conf,
        engine=container.engine or facts.engine,
        container=spec.name,
        host=host.name,
        forgets=container.forgets,
    )


# -- rulesets


def rulesets(host: Host, facts: HostFacts) -> Iterator[Ruleset]:
    """What is loaded, in order: the administrator's nftables file, iptables' tables, the engine's own."""
    yield from _native(host, facts)
    written = {family: IptablesRuleset(family) for family in FAMILIES}
    written |= {r.family: r for r in facts.rulesets if isinstance(r, IptablesRuleset)}
    for ruleset in _with_firewall(host, facts, list(written.values())):
        if not isinstance(ruleset, IptablesRuleset):
            yield ruleset
        elif ruleset.tables:
            yield replace(ruleset, sets=written[ruleset.family].sets, places=_places(host, ruleset.family))
    yield from (ruleset for ruleset in facts.rulesets if not isinstance(ruleset, IptablesRuleset))


def _native(host: Host, facts: HostFacts) -> Iterator[NftFile]:
    """The administrator's own tables; if the host was found with some, all of those but the engine's."""
    found = host.found
    if found is not None and "nftables" in found.files:
        own = {(one.family, one.name) for one in facts.rulesets if isinstance(one, NftTable)}
        tables = listed_tables(found.files["nftables"])
        text = "".join(text for name, text in tables.items() if name not in own)
        if text:
            yield NftFile(text, found.names.get("nftables", "found.nftables"))
    elif "nftables" in host.firewall.files:
        yield NftFile(
            host.firewall.files["nftables"], host.firewall.names.get("nftables", "firewall.nftables")
        )


def _places(host: Host, family: Family) -> tuple[tuple[str, str, Position], ...]:
    """Where the administrator's own rules are written."""
    known = host.firewall.kind != "none" or host.found is not None
    return firewall.rule_places(host, family) if known else ()


def _with_firewall(host: Host, facts: HostFacts, written: list[IptablesRuleset]) -> Sequence[Ruleset]:
    """The engine's rules together with those of a firewall that knows the engine's bridges."""
    if host.firewall.kind != "firewalld" or host.found is not None:
        return written
    return firewall.completed(host, facts.firewalld, written)


def _real(host: Host, facts: HostFacts, stands: Sequence[Ruleset]) -> RealFirewall | None:
    """The real firewall tool, if the scenario has one (``run: real``)."""
    if "run" not in host.firewall.options:
        return None
    return firewall.run_real(host, facts.firewalld, stands)
