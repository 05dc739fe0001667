"""The events that ``docker compose up`` causes, followed by those of the scenario."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from netlab.model.engine_names import is_podman
from netlab.model.event import (
    Connect,
    ContainerRemove,
    ContainerRestart,
    ContainerSpec,
    ContainerStart,
    ContainerStop,
    DaemonConfigure,
    DaemonStart,
    DaemonStop,
    Disconnect,
    EndpointSpec,
    Event,
    FirewallFlush,
    FirewallReload,
    HostFound,
    HostReboot,
    NetworkCreate,
    NetworkReload,
    NetworkRemove,
    NetworkSpec,
)
from netlab.model.expectation import ScenarioEvent
from netlab.model.identifiers import digest
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.scenario import Attachment, ComposeNetwork, Scenario, Service
from netlab.scenario.events import event_names, in_running_lab, is_command, settings_of
from netlab.scenario.services import USER_MODES
from netlab.scenario.settings import daemon_setting
from netlab.scenario.tree import hint, shown

#: In the place of what a scenario's ``found`` says of a host, until it is compared with the engine's rules.
UNREAD = HostFound((), written=True)
#: The network options that Podman's Docker API knows, and what it makes of them (4.3.1, 5.4.2 and 5.8.6).
_BY_API = {
    "com.docker.network.bridge.name": "com.docker.network.bridge.name",
    "com.docker.network.driver.mtu": "mtu",
}
#: Network modes that do not name a network of the scenario.
_MODES = ("host", "none", "bridge", *USER_MODES)


@dataclass(frozen=True, slots=True)
class Replica:
    """One container of a service: its node's name and its own."""

    service: Service
    node: str
    container: str
    number: int


def replicas(scenario: Scenario, service: Service) -> list[Replica]:
    """The containers of a service, numbered from 1; a service with one has its own name as node's.

    Compose joins the parts of a container's name with hyphens, podman-compose with underscores.
    """
    host = scenario.host(service.host)
    podman_compose = is_podman(service.engine or host.engine) and host.compose != "docker-compose"
    between = "_" if podman_compose else "-"
    found = []
    for number in range(1, service.replicas + 1):
        node = service.name if service.replicas == 1 else f"{service.name}-{number}"
        project = service.project or scenario.project
        container = service.container_name or between.join((project, service.compose_name, str(number)))
        found.append(Replica(service, node, container, number))
    return found


def networks_of(scenario: Scenario, host: str) -> list[ComposeNetwork]:
    """The networks that the host's services use: external ones first, then each project's in file order."""
    used = {a.network for s in scenario.services if s.host == host for a in s.networks}
    used |= _named_by_events(scenario)
    networks = [n for n in scenario.networks if n.key in used]
    return [n for n in networks if n.external] + [n for n in networks if not n.external]


def _named_by_events(scenario: Scenario) -> set[str]:
    """Networks that only a later ``connect`` uses."""
    keys = {network.name: network.key for network in scenario.networks}
    named = {e.words[2] for e in _all_events(scenario) if e.words[0] == "connect" and len(e.words) == 3}
    return {keys.get(name, name) for name in named}


def _all_events(scenario: Scenario) -> tuple[ScenarioEvent, ...]:
    """The scenario's events, before the first flow and between its flows."""
    return (*scenario.events, *(scenario.expect[-1].after if scenario.expect else ()))


def events_of(scenario: Scenario, host_name: str) -> tuple[Event, ...]:
    """Everything that happens to the engine of one host, in order; raises ScenarioError.

    External networks; then for each project its networks in file order and its services in depends_on order
    (ties by file order), replicas 1..N; then the scenario's own events, up to the first that only a running
    lab can have.
    """
    return tuple(event for event, _ in positioned_events(scenario, host_name))


def positioned_events(scenario: Scenario, host_name: str) -> Iterator[tuple[Event, Position]]:
    """:func:`events_of`, each with the place in the file that it comes from."""
    specs = {
        network.key: network_spec(scenario, network, host_name)
        for network in networks_of(scenario, host_name)
    }
    known = [scenario.network(key) for key in specs]
    for network in (network for network in known if network.external):
        yield NetworkCreate(specs[network.key]), network.position
    for project in _projects(scenario):
        for network in known:
            if network.project == project and not network.external:
                yield NetworkCreate(specs[network.key]), network.position
        services = (s for s in scenario.services if (s.host, s.project) == (host_name, project))
        for service in start_order(tuple(services)):
            for replica in replicas(scenario, service):
                yield ContainerStart(container_spec(scenario, replica)), service.position
    later = _Later(scenario, host_name, specs)
    for event in scenario.events[: len(scenario.events) - len(in_running_lab(scenario.events))]:
        for made in later.events(event):
            yield made, event.position
    host = scenario.host(host_name)
    if host.found is not None:
        yield UNREAD, host.position


def _projects(scenario: Scenario) -> tuple[str, ...]:
    """The Compose projects that have anything in the lab, in order."""
    entries: tuple[Service | ComposeNetwork, ...] = (*scenario.services, *scenario.networks)
    return tuple(dict.fromkeys(entry.project for entry in entries))


def meaning(scenario: Scenario, host_name: str, event: ScenarioEvent) -> tuple[Event, ...]:
    """What an event does on one host, in the engine's terms; raises ScenarioError for an unknown name."""
    specs = {network.key: network_spec(scenario, network, host_name) for network in scenario.networks}
    return tuple(_Later(scenario, host_name, specs).events(event))


def network_spec(scenario: Scenario, network: ComposeNetwork, host: str) -> NetworkSpec:
    """The network as ``docker network create`` gets it."""
    owner = "" if network.external else network.project or scenario.project
    return NetworkSpec(
        name=network.name,
        id=digest("network", owner, network.name, host),
        driver=network.driver,
        driver_opts=_driver_opts(scenario, network, host),
        pools=network.pools,
        internal=network.internal,
        enable_ipv4=network.enable_ipv4,
        enable_ipv6=network.enable_ipv6,
        label=network.key,
        engine=_owner(scenario, network, host),
    )


def _driver_opts(scenario: Scenario, network: ComposeNetwork, host: str) -> Mapping[str, str]:
    """What docker-compose asks Podman's Docker API for is isolated, whatever else it asks."""
    on = scenario.host(host)
    theirs = is_podman(_owner(scenario, network, host) or on.engine) and on.compose == "docker-compose"
    if not theirs or network.external:
        return network.driver_opts
    for key in network.driver_opts:
        if key not in _BY_API:
            what = f"docker-compose asks Podman's Docker API, which ignores the network option {shown(key)}"
            raise ScenarioError([Problem(network.position, f"networks.{network.key}: {what}")])
    return {**{_BY_API[key]: value for key, value in network.driver_opts.items()}, "isolate": "true"}


def _owner(scenario: Scenario, network: ComposeNetwork, host: str) -> str:
    """The engine that has a network, on a host with two: that of the services on it."""
    if not scenario.host(host).beside:
        return ""
    on_it = (
        service.engine
        for service in scenario.services
        if service.host == host and any(one.network == network.key for one in service.networks)
    )
    return next(on_it, scenario.host(host).engine)


def container_spec(scenario: Scenario, replica: Replica) -> ContainerSpec:
    """The container as ``docker run`` gets it."""
    service = replica.service
    identity = digest("container", service.project or scenario.project, replica.container)
    endpoints = tuple(endpoint_spec(scenario, replica, attachment) for attachment in service.networks)
    if service.mac_address and endpoints:
        first = scenario.network(_primary(service)).name
        endpoints = tuple(_with_mac(e, service.mac_address) if e.network == first else e for e in endpoints)
    if service.network_mode == "bridge":
        endpoints = (EndpointSpec("bridge", mac_address=service.mac_address),)
    return ContainerSpec(
        node=replica.node,
        name=replica.container,
        id=identity,
        network_mode=_network_mode(scenario, service, endpoints),
        endpoints=endpoints,
        ports=service.ports,
        expose=(*service.expose, *service.image_ports),
        hostname=service.hostname or "",
        domainname=service.domainname or "",
        uts_host=service.uts_host,
        extra_hosts=service.extra_hosts,
        links=_links(scenario, service),
        dns=service.dns,
        dns_search=service.dns_search,
        dns_opt=service.dns_opt,
        sysctls=service.sysctls,
        privileged=service.privileged,
        restart=service.restart,
        listen=service.listen or (),
        engine=service.engine,
    )


def _primary(service: Service) -> str:
    """The network that Compose creates a container on (NetworksByPriority), for which its MAC address is."""
    return min(service.networks, key=lambda attachment: (-attachment.priority, attachment.network)).network


def _with_mac(endpoint: EndpointSpec, mac: str) -> EndpointSpec:
    return endpoint if endpoint.mac_address is not None else replace(endpoint, mac_address=mac)


def endpoint_spec(scenario: Scenario, replica: Replica, attachment: Attachment) -> EndpointSpec:
    """A service's attachment as ``docker network connect`` gets it, with the aliases that Compose adds."""
    by_name = replica.service.network_mode is not None  # Compose then leaves the endpoint to the daemon
    own = () if by_name else (replica.service.compose_name,)
    aliases = dict.fromkeys((*own, *attachment.aliases))
    return EndpointSpec(
        network=scenario.network(attachment.network).name,
        ipv4_address=attachment.ipv4_address,
        ipv6_address=attachment.ipv6_address,
        link_local_ips=attachment.link_local_ips,
        aliases=(*aliases,),
        mac_address=attachment.mac_address,
        interface_name=attachment.interface_name,
        gw_priority=attachment.gw_priority,
        driver_opts=attachment.driver_opts,
    )


def _network_mode(scenario: Scenario, service: Service, endpoints: tuple[EndpointSpec, ...]) -> str:
    mode = service.network_mode
    if mode is None or service.networks:
        return endpoints[0].network if endpoints else "none"
    kind, _, target = mode.partition(":")
    if kind in ("service", "container") and target:
        return f"container:{_target(scenario, service, kind, target)}"
    if mode not in _MODES:
        raise ScenarioError([Problem(service.position, f"network_mode {mode!r} is not reproduced")])
    return mode


def _target(scenario: Scenario, service: Service, kind: str, target: str) -> str:
    for other in scenario.services:
        for replica in replicas(scenario, other):
            if target == (other.name if kind == "service" else replica.container):
                if other.host != service.host:
                    break
                return replica.node
    reason = f"network_mode: there is no {kind} {target!r} on host {service.host!r}"
    raise ScenarioError([Problem(service.position, reason)])


def _links(scenario: Scenario, service: Service) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    if service.network_mode is not None and service.networks:
        return ()  # on a network that network_mode names, the daemon ignores them (registerLinks)
    for target, alias in service.links:
        others = (other for other in scenario.services if other.name == target)
        found += [(replica.node, alias) for other in others for replica in replicas(scenario, other)]
    for container, alias in service.external_links:
        found += [
            (replica.node, alias)
            for other in scenario.services
            for replica in replicas(scenario, other)
            if replica.container == container
        ]
    return tuple(found)


def start_order(services: tuple[Service, ...]) -> list[Service]:
    """Services in depends_on order, ties by file order; raises ScenarioError for a circle."""
    named = {service.name: service for service in services}
    order: dict[str, Service] = {}
    for service in services:
        _visit(service, named, order)
    return list(order.values())


def _visit(first: Service, named: Mapping[str, Service], order: dict[str, Service]) -> None:
    """Order services after everything that they need; iterative, for chains of any length."""
    path: dict[str, Iterator[str]] = {first.name: iter(_needs(first))}
    while path:
        name = next(reversed(path))
        if name in order:
            path.popitem()
            continue
        need = next(path[name], None)
        if need is None:
            order[name] = named[name]
            path.popitem()
        elif need in path:
            circle = " -> ".join([*list(path)[list(path).index(need) :], need])
            raise ScenarioError([Problem(named[name].position, f"services depend on each other: {circle}")])
        elif need in named and need not in order:
            path[need] = iter(_needs(named[need]))


def _needs(service: Service) -> Iterable[str]:
    yield from service.depends_on
    yield from (target for target, _ in service.links)
    if service.network_mode and service.network_mode.startswith("service:"):
        yield service.network_mode.partition(":")[2]


class _Later:
    """The scenario's own events, in the engine's terms."""

    def __init__(self, scenario: Scenario, host: str, specs: Mapping[str, NetworkSpec]) -> None:
        self.scenario = scenario
        self.host = host
        self.specs = specs
        self.replicas: dict[str, list[Replica]] = {}
        for service in scenario.services:
            if service.host == host:
                made = replicas(scenario, service)
                self.replicas[service.name] = made
                for replica in made:
                    self.replicas.setdefault(replica.node, [replica])
                    self.replicas.setdefault(replica.container, [replica])
        self.networks = {n.key: n for n in scenario.networks} | {n.name: n for n in scenario.networks}

    def events(self, event: ScenarioEvent) -> Iterator[Event]:
        """What the words mean for this host; nothing if they are about another one."""
        verb, *rest = event.words
        thing = rest[0] if rest else ""
        if is_command(event):
            return
        if thing in ("daemon", "firewall", "host"):
            if all(name == self.host for kind, name in event_names(event.words) if kind == "host"):
                yield from _host_event(event)
        elif thing == "networks":
            yield from self._reloads(event)
        elif thing == "network":
            yield from self._network_event(verb, self._network(event, rest[1]))
        elif verb in ("connect", "disconnect"):
            network = self._network(event, rest[1])
            for replica in self._containers(event, thing):
                if verb == "connect":
                    yield Connect(replica.node, self._wish(replica, network))
                else:
                    yield Disconnect(replica.node, network.name)
        else:
            for replica in self._containers(event, thing):
                yield _container_event(verb, replica.node)

    def _reloads(self, event: ScenarioEvent) -> Iterator[Event]:
        """Of one service's containers; without a name, of all on hosts with Podman (others refuse it)."""
        name = next((name for _, name in event_names(event.words)), "")
        if name:
            yield from (NetworkReload(replica.node) for replica in self._containers(event, name))
            return
        podmen = [one.name for one in self.scenario.hosts if is_podman(one.engine) or one.beside]
        if self.host in podmen or not podmen:
            yield NetworkReload()

    def _wish(self, replica: Replica, network: ComposeNetwork) -> EndpointSpec:
        attached = next((a for a in replica.service.networks if a.network == network.key), None)
        return endpoint_spec(self.scenario, replica, attached or Attachment(network.key))

    def _network_event(self, verb: str, network: ComposeNetwork) -> Iterator[Event]:
        if verb == "create":
            yield NetworkCreate(network_spec(self.scenario, network, self.host))
        elif network.key in self.specs or any(
            e.words[:2] == ("create", "network") for e in _all_events(self.scenario)
        ):
            yield NetworkRemove(network.name)

    def _network(self, event: ScenarioEvent, name: str) -> ComposeNetwork:
        if name not in self.networks:
            what = f"event: there is no network {shown(name)}{hint(name, self.networks)}"
            raise ScenarioError([Problem(event.position, what)])
        return self.networks[name]

    def _containers(self, event: ScenarioEvent, name: str) -> list[Replica]:
        if name in self.replicas:
            return self.replicas[name]
        everywhere = {
            n
            for s in self.scenario.services
            for r in replicas(self.scenario, s)
            for n in (s.name, r.node, r.container)
        }
        if name not in everywhere:
            what = f"event: there is no container {shown(name)}{hint(name, everywhere)}"
            raise ScenarioError([Problem(event.position, what)])
        return []


def _host_event(event: ScenarioEvent) -> Iterator[Event]:
    verb, thing = event.words[:2]
    if thing == "firewall":
        yield FirewallReload() if verb == "reload" else FirewallFlush()
        return
    if verb == "reboot":
        yield HostReboot()
    if verb == "configure":
        yield DaemonConfigure(tuple(map(daemon_setting, settings_of(event.words))))
    if verb in ("stop", "restart"):
        yield DaemonStop()
    if verb in ("start", "restart"):
        yield DaemonStart()


def _container_event(verb: str, node: str) -> Event:
    if verb == "stop":
        return ContainerStop(node)
    if verb == "remove":
        return ContainerRemove(node)
    return ContainerRestart(node, if_stopped=verb == "start")
