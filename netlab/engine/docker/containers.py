"""Containers: start, stop, restart, connect and disconnect, as dockerd and libnetwork's sandbox do them."""

from __future__ import annotations

import ipaddress
from itertools import count

from netlab.engine.docker import endpoint_options, names, publish
from netlab.engine.docker.firewaller import Firewaller
from netlab.engine.docker.host_state import Binding, Container, Endpoint, HostState, Link, LiveNetwork
from netlab.engine.docker.networks import DEFAULT_BRIDGE
from netlab.engine.docker.option import OptionError
from netlab.engine.ipam import PoolError
from netlab.engine.refusal import Refused
from netlab.engine.tables import IptablesError
from netlab.model import identifiers
from netlab.model.event import ContainerSpec, EndpointSpec
from netlab.model.family import FAMILIES, Address, Family
from netlab.model.scenario import PortMapping, Protocol

#: In extra_hosts, the host itself.
HOST_GATEWAY = "host-gateway"


def run(state: HostState, rules: Firewaller, spec: ContainerSpec) -> None:
    """``docker run``: create and start."""
    if spec.node in state.containers:
        raise Refused("container", spec.node, f'The container name "/{spec.name}" is already in use')
    _check(state, spec)
    container = Container(spec, requests=attachment_order(state, spec.endpoints), mappings=spec.ports)
    if spec.network_mode == DEFAULT_BRIDGE and not container.requests:
        container.requests = [EndpointSpec(DEFAULT_BRIDGE)]
    state.containers[spec.node] = container
    try:
        start(state, rules, container)
    except Refused:
        del state.containers[spec.node]
        raise


def attachment_order(state: HostState, requests: tuple[EndpointSpec, ...]) -> list[EndpointSpec]:
    """The order in which a new container joins its networks: the first gives the default route and eth0.

    Compose creates the container on one network and connects the others before the start; libnetwork then
    orders the endpoints (Endpoint.Less): ways out before internal networks, then by gateway priority, then
    by the network's docker name.
    """
    prioritized = state.traits.version in endpoint_options.GW_PRIORITY.span

    def key(request: EndpointSpec) -> tuple[bool, int, bool, str]:
        network = state.networks.get(request.network)
        internal, ipv6 = (network.spec.internal, network.spec.enable_ipv6) if network else (False, None)
        return (internal, -request.gw_priority if prioritized else 0, not ipv6, request.network)

    return sorted(requests, key=key)


def _failing(container: Container, error: IptablesError) -> str:
    """Docker's message about a container whose rules iptables refuses."""
    return f"failed programming external connectivity on endpoint {container.spec.name}: {error}"


def _check(state: HostState, spec: ContainerSpec) -> None:
    """What the daemon refuses of a container by itself."""
    private = spec.network_mode != "host" and not spec.network_mode.startswith("container:")
    for key in spec.sysctls:
        words = key.split(".")
        of_interface = len(words) > 4 and words[0] == "net" and words[3].startswith("eth")
        if private and of_interface and not state.traits.interface_sysctls:
            raise Refused(
                "container",
                spec.node,
                f'interface specific sysctl setting "{key}" must be supplied using driver option '
                "'com.docker.network.endpoint.sysctls'",
            )
    if any(address == HOST_GATEWAY for _, address in spec.extra_hosts):
        if not state.traits.host_gateways:
            raise Refused("container", spec.node, f'invalid IP address in add-host: "{HOST_GATEWAY}"')
        if state.traits.host_gateways > 1 and not host_gateways(state):
            raise Refused("container", spec.node, f"unable to derive the IP value for {HOST_GATEWAY}")


def host_gateways(state: HostState) -> tuple[str, ...]:
    """The addresses that ``host-gateway`` in extra_hosts means: daemon.json's, or else docker0's."""
    configured = state.daemon.host_gateway_ips
    if configured:
        mapped = state.traits.maps_host_gateway and "host-gateway-ip" in state.host.daemon
        return tuple(f"::ffff:{a}" if mapped and Family.of(a) is Family.IPV4 else a for a in configured)
    docker0 = state.networks.get(DEFAULT_BRIDGE)
    found = [docker0.gateway(family) for family in Family] if docker0 is not None else []
    return tuple(str(address) for address in found if address is not None)[: state.traits.host_gateways]


def start(state: HostState, rules: Firewaller, container: Container) -> None:
    """``docker start`` of a container that does not run, nor does where iptables refuses its rules."""
    try:
        _start(state, rules, container)
    except IptablesError as error:
        stop(state, rules, container)
        state.failures.append(f"driver {_failing(container, error)}; {container.spec.node} does not run")


def _start(state: HostState, rules: Firewaller, container: Container) -> None:
    container.starts += 1
    container.next_name, container.next_index = {}, 2
    container.resolver = False
    _note_chance(state, container)
    for request in container.requests:  # one by one: the ports move to the network that then leads out
        container.endpoints.append(_attach(state, rules, container, request))
        if request is container.requests[0]:
            _link(state, rules, container)
        _move_gateway(state, rules, container)
    numbered = container.endpoints if state.traits.index_in_container else in_order(state, container)
    for endpoint in numbered:
        _name(state, container, endpoint)
    if container.starts > 1 and state.traits.interfaces_first and state.traits.notices_ipv6_off:
        container.endpoints = in_order(state, container)  # which writes /etc/hosts again (26)
    container.running, container.stopped = True, False
    # A dict keeps insertion order: the last container to start comes last.
    state.containers[container.spec.node] = state.containers.pop(container.spec.node)


def _note_chance(state: HostState, container: Container) -> None:
    """A container joins its networks in the order of a Go map; up to 24 the one of its network mode first.

    Source: daemon/container_operations.go, allocateNetwork; both orders in two runs of 25.0.6 and later.
    """
    joined = [request.network for request in container.requests]
    some = "all of" if state.traits.joins_by_chance else "all but the first of"
    if len(joined) < (2 if state.traits.joins_by_chance else 3):
        return
    state.note(
        "container",
        container.spec.node,
        f"Docker leaves to chance in which order it joins {some} the networks, and so which is eth0, "
        f"eth1, …; here the order is {', '.join(joined)}",
        by_chance=True,
    )


def take_out(state: HostState, rules: Firewaller, container: Container) -> None:
    """Take a container's rules out, and leave the container as it is."""
    for link in container.links:
        rules.remove_link(state, state.networks[link.network], link)
    for binding in container.bindings:
        rules.remove_binding(state, state.networks[binding.network], binding)
    for endpoint in container.endpoints:
        rules.remove_endpoint(state, state.networks[endpoint.spec.network], endpoint)


def stop(state: HostState, rules: Firewaller, container: Container) -> None:
    """``docker stop``: ports first, then the interfaces."""
    _publish(state, rules, container, {})
    for link in container.links:
        rules.remove_link(state, state.networks[link.network], link)
    container.links.clear()
    for endpoint in container.endpoints:
        _detach(state, rules, endpoint)
    container.endpoints.clear()
    container.gateways.clear()
    container.running = False


def connect(state: HostState, rules: Firewaller, container: Container, request: EndpointSpec) -> None:
    """``docker network connect`` of a container that exists."""
    if any(old.network == request.network for old in container.requests):
        raise Refused(
            "container",
            container.spec.node,
            f"endpoint with name {container.spec.name} already exists in network {request.network}",
        )
    if container.running:
        endpoint = _attach(state, rules, container, request)
        _name(state, container, endpoint)
        container.endpoints.append(endpoint)
        try:
            _move_gateway(state, rules, container)
        except IptablesError as error:
            _leave(state, rules, container, request.network)
            left = f"{container.spec.node} is not on network {request.network}"
            state.failures.append(f"driver {_failing(container, error)}; {left}")
            return
    container.requests.append(request)


def disconnect(state: HostState, rules: Firewaller, container: Container, network: str) -> None:
    """``docker network disconnect``."""
    if not any(request.network == network for request in container.requests):
        raise Refused(
            "container",
            container.spec.node,
            f"container {container.spec.name} is not connected to network {network}",
        )
    container.requests = [request for request in container.requests if request.network != network]
    try:
        _leave(state, rules, container, network)
    except IptablesError as error:  # which Docker only logs
        text = f"Docker logged that it {_failing(container, error)}: no port of it is published"
        state.note("container", container.spec.node, text)


def _leave(state: HostState, rules: Firewaller, container: Container, network: str) -> None:
    """Take a container off a network; its ports go along to whatever leads out then."""
    gone = [endpoint for endpoint in container.endpoints if endpoint.spec.network == network]
    led = bool(gone) and in_order(state, container)[0] is gone[0]
    kept = {name: families for name, families in container.published.items() if name != network}
    _publish(state, rules, container, kept)
    if state.traits.disconnect_clears_hosts:
        for endpoint in container.endpoints:
            endpoint.in_hosts = False
    for endpoint in gone:
        container.endpoints.remove(endpoint)
        _detach(state, rules, endpoint)
    if container.running:
        _move_gateway(state, rules, container, lost=led)


def _attach(state: HostState, rules: Firewaller, container: Container, request: EndpointSpec) -> Endpoint:
    """An endpoint with its addresses, its link and the rules of the layout (CreateEndpoint)."""
    node = container.spec.node
    network = state.networks.get(request.network)
    if network is None:
        raise Refused("container", node, f"network {request.network} not found")
    try:
        options = endpoint_options.read(request, state.traits)
    except OptionError as error:
        raise Refused("container", node, f"invalid config for network {request.network}: {error}") from None
    for text in endpoint_options.unread(request, state.traits):
        state.note("container", node, text)
    addresses = _addresses(state, network, node, request)
    v4 = addresses.get(Family.IPV4)
    mac = request.mac_address or (
        identifiers.mac(container.spec.id, network.spec.id, str(container.starts))
        if state.traits.random_macs or v4 is None
        else names.mac_of(str(v4))
    )
    v6 = addresses.get(Family.IPV6)
    if v6 is not None and request.ipv6_address is None and _mac_addressed(state, network):
        subnet = network.subnet(Family.IPV6)
        network.pools[Family.IPV6].release(v6)
        addresses[Family.IPV6] = ipaddress.ip_address(names.eui64(ipaddress.IPv6Network(str(subnet)), mac))
    if container.ipv6_off and not state.traits.interfaces_first and Family.IPV6 in addresses:
        network.pools[Family.IPV6].release(addresses.pop(Family.IPV6))
    if state.traits.index_in_container:
        index, host_index = container.next_index, state.claim_index()
        container.next_index += 1
    else:
        index, host_index = state.claim_index(), state.claim_index()
    endpoint = Endpoint(
        spec=request,
        node=node,
        mac=mac,
        addresses=addresses,
        veth=names.veth(container.spec.id, network.spec.id, str(container.starts)),
        index=index,
        host_index=host_index,
        wanted_name=options.interface_name,
        gw_priority=options.gw_priority,
        sysctls=options.sysctls,
    )
    network.endpoints[node], network.had_ports = endpoint, True
    if not container.resolver:
        container.resolves_ipv6 = Family.IPV6 in network.families
        container.resolver = not network.default_bridge
    rules.add_endpoint(state, network, endpoint)
    return endpoint


def _mac_addressed(state: HostState, network: LiveNetwork) -> bool:
    """docker0 with ``fixed-cidr-v6`` of at most 80 bits: the address is made of the MAC (to 27)."""
    pool = network.pools[Family.IPV6]
    return network.default_bridge and not state.traits.random_macs and pool.subnet.prefixlen <= 80


def _addresses(
    state: HostState, network: LiveNetwork, node: str, request: EndpointSpec
) -> dict[Family, Address]:
    requested = {Family.IPV4: request.ipv4_address, Family.IPV6: request.ipv6_address}
    for family, address in requested.items():
        if address and not network.spec.pools and not state.traits.static_without_subnet:
            reason = "only when connecting to networks with user configured subnets"
            raise Refused("container", node, f"user specified IP address is supported {reason}")
        if address and family not in network.families:
            raise Refused(
                "container",
                node,
                f"Invalid address {address}: It does not belong to any of this network's subnets",
            )
    taken: dict[Family, Address] = {}
    try:
        for family in network.families:
            pool = network.pools[family]
            address = requested[family]
            taken[family] = pool.take(address) if address else pool.next()
    except PoolError as error:
        for family, got in taken.items():
            network.pools[family].release(got)
        raise Refused("container", node, str(error)) from error
    return taken


def _detach(state: HostState, rules: Firewaller, endpoint: Endpoint) -> None:
    network = state.networks[endpoint.spec.network]
    rules.remove_endpoint(state, network, endpoint)
    for family, address in endpoint.addresses.items():
        network.pools[family].release(address)
    del network.endpoints[endpoint.node]


def _name(state: HostState, container: Container, endpoint: Endpoint) -> None:
    """The interface's name: the network's prefix and the next number that is free (eth0, eth1, …)."""
    if endpoint.wanted_name:
        _check_name(container, endpoint)
        endpoint.ifname = endpoint.wanted_name
        return
    prefix = state.networks[endpoint.spec.network].prefix
    number = container.next_name.get(prefix, 0)
    if state.traits.reuses_names:
        names_taken = {other.ifname for other in container.endpoints}
        number = next(n for n in count() if f"{prefix}{n}" not in names_taken)
    container.next_name[prefix] = number + 1
    endpoint.ifname = f"{prefix}{number}"


def _check_name(container: Container, endpoint: Endpoint) -> None:
    """What the kernel refuses of an interface's name (dev_valid_name), and what the daemon says then."""
    name = endpoint.wanted_name
    reason = ""
    if len(name) > 15:
        reason = "numerical result out of range"
    elif "/" in name or ":" in name or name in (".", "..") or any(c.isspace() for c in name):
        reason = "invalid argument"
    elif any(other.ifname == name for other in container.endpoints if other is not endpoint):
        reason = "file exists"
    if reason:
        raise Refused(
            "container",
            endpoint.node,
            f"failed to set up container networking: failed to add interface {endpoint.veth} to sandbox: "
            f'error renaming interface "{endpoint.veth}" to "{name}": {reason}',
        )


def in_order(state: HostState, container: Container) -> list[Endpoint]:
    """The sandbox's order of endpoints (libnetwork's Endpoint.Less): the first is the gateway.

    Networks with a way out before internal ones, dual-stack before single-stack, by gateway priority,
    then by the network's name.
    """

    def key(endpoint: Endpoint) -> tuple[bool, int, bool, str]:
        network = state.networks[endpoint.spec.network]
        both = all(network.gateway(family) is not None and family in endpoint.addresses for family in Family)
        return (network.internal, -endpoint.gw_priority, not both, network.name)

    return sorted(container.endpoints, key=key)


def _move_gateway(state: HostState, rules: Firewaller, container: Container, lost: bool = False) -> None:
    """Choose the default routes' networks, and publish on what leads out.

    ``lost``: the network that led out is the one that the container has just left.
    """
    order = in_order(state, container)
    ways = {family: [e for e in order if _leads_out(state, e, family)] for family in Family}
    if not state.traits.publishes_by_family:  # one endpoint has both routes, or the one that it can have
        first = next(iter(ways[Family.IPV4]), None)
        ways = {family: [e for e in found if e is first] for family, found in ways.items()}
    if state.traits.publishes_by_family and not state.traits.gateway_by_family:
        both = next((e for e in ways[Family.IPV4] if e in ways[Family.IPV6]), None)
        ways = {family: found if both is None else [both] for family, found in ways.items()}
    container.gateways = {family: found[0] for family, found in ways.items() if found}
    if state.traits.publishes_by_family:
        wanted = _by_family(state, container)
    else:
        wanted = _on_one(state, container, order, lost)
    _publish(state, rules, container, wanted)


def _leads_out(state: HostState, endpoint: Endpoint, family: Family) -> bool:
    """Whether the container may have that family's default route by this endpoint."""
    network = state.networks[endpoint.spec.network]
    if family not in endpoint.addresses or network.gateway(family) is None:
        return False
    return not network.internal or state.traits.internal_default_route


def _on_one(
    state: HostState, container: Container, order: list[Endpoint], lost: bool
) -> dict[str, tuple[Family, ...]]:
    """All ports are published on the first network that leads out (up to 27).

    Where internal networks have a default route too, one takes over the ports that a lost network leaves
    (sbLeave), though it would not get them by itself (sbJoin): only the userland proxy leads there.
    """
    leading = next((e.spec.network for e in order if not state.networks[e.spec.network].internal), None)
    if leading is None and order and state.traits.internal_default_route:
        first = order[0].spec.network
        leading = first if lost or first in container.published else None
    return {leading: FAMILIES} if leading is not None else {}


def _by_family(state: HostState, container: Container) -> dict[str, tuple[Family, ...]]:
    """Each family's ports are published where its default route leads; a routed network keeps what it had.

    From 29 on every routed network has its own, wherever the route leads. Without an IPv6 route the IPv4
    one's network takes the host's IPv6 ports too, for the userland proxy (bridge driver,
    ProgramExternalConnectivity and trimPortBindings).
    """
    gateways = container.gateways
    leads = {
        Family.IPV4: gateways.get(Family.IPV4),
        Family.IPV6: gateways.get(Family.IPV6, gateways.get(Family.IPV4)),
    }
    wanted = {}
    for endpoint in container.endpoints:
        network = state.networks[endpoint.spec.network]
        if not network.internal:
            always = state.traits.routed_always_open
            had = FAMILIES if always else container.published.get(network.name, ())
            kept = [
                f for f in had if network.modes[f] == "routed" and (not always or f in endpoint.addresses)
            ]
            wanted[network.name] = tuple(f for f in FAMILIES if leads[f] is endpoint or f in kept)
    return wanted


def _publish(
    state: HostState, rules: Firewaller, container: Container, wanted: dict[str, tuple[Family, ...]]
) -> None:
    """Publish the ports on these networks and no other: what has to go goes first."""
    kept: list[Binding] = []
    gone: list[Binding] = []
    for binding in container.bindings:
        (kept if binding.family in wanted.get(binding.network, ()) else gone).append(binding)
    for binding in gone:
        rules.remove_binding(state, state.networks[binding.network], binding)
    publish.release(state, gone)
    container.bindings = kept
    published, container.published = container.published, {}
    for name, families in wanted.items():
        new = tuple(family for family in families if family not in published.get(name, ()))
        endpoint = next(e for e in container.endpoints if e.spec.network == name)
        network = state.networks[name]
        bound = publish.bind(state, network, endpoint, container.mappings, new)
        _open(state, rules, network, bound)
        container.bindings += bound
        container.published[name] = families


def _open(state: HostState, rules: Firewaller, network: LiveNetwork, bound: list[Binding]) -> None:
    """Write the rules of bindings, all or none; raises IptablesError (allocatePorts, addPortMappings)."""
    for number, binding in enumerate(bound):
        try:
            rules.add_binding(state, network, binding)
        except IptablesError:
            for written in bound[: number + state.traits.takes_port_back]:
                rules.remove_binding(state, network, written)
            publish.release(state, bound)
            raise


def _link(state: HostState, rules: Firewaller, container: Container) -> None:
    """Open the ports of the containers that this one is linked to, where icc is off on the default bridge."""
    network = state.networks.get(DEFAULT_BRIDGE)
    if network is None or network.icc or container.spec.node not in network.endpoints:
        return
    own = network.endpoints[container.spec.node]
    for node in dict.fromkeys(node for node, _ in container.spec.links):
        target = network.endpoints.get(node)
        if target is not None:
            for port, protocol in _ports(state.containers[node]):
                link = Link(
                    network=network.name,
                    node=container.spec.node,
                    target=node,
                    address=str(own.addresses[Family.IPV4]),
                    target_address=str(target.addresses[Family.IPV4]),
                    port=port,
                    protocol=protocol,
                )
                container.links.append(link)
                rules.add_link(state, network, link)


def _ports(container: Container) -> list[tuple[int, Protocol]]:
    """What a container exposes, published or not, in the order of its ports."""
    exposed = tuple(PortMapping(port.port, port.protocol) for port in container.spec.expose)
    mappings = publish.descending((*container.mappings, *exposed))
    return list(dict.fromkeys((m.container_port, m.protocol) for m in mappings))
