"""Containers: run, start, stop, connect and disconnect, as Podman and netavark do them."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from netlab.engine.ipam import PoolError
from netlab.engine.podman import etc, networks, publish, rootless
from netlab.engine.podman.chance import in_some_order
from netlab.engine.podman.firewaller import Firewaller
from netlab.engine.podman.host_state import Container, Endpoint, HostState, LiveNetwork
from netlab.engine.refusal import Refused
from netlab.model import identifiers
from netlab.model.event import ContainerSpec, EndpointSpec
from netlab.model.family import Address, Family


def run(state: HostState, rules: Firewaller, spec: ContainerSpec) -> None:
    """``podman run``: create and start; raises :class:`Refused`, and then there is no container."""
    if spec.node in state.containers:
        raise Refused("container", spec.node, f'the container name "{spec.name}" is already in use')
    _check(state, spec)
    if state.host.rootless:
        rootless.check_mode(state, spec)
    container = Container(spec, wishes=[_wish(one) for one in spec.endpoints])
    if spec.network_mode == networks.COMPOSE_DEFAULT and not container.wishes:
        container.wishes = [EndpointSpec(networks.DEFAULT)]
    for wish in container.wishes:
        _check_wish(state, spec.node, wish)
    if container.wishes or spec.network_mode in rootless.MODES:
        container.published = publish.joined(state, spec)
    state.containers[spec.node] = container
    try:
        start(state, rules, container)
    except Refused:
        del state.containers[spec.node]
        raise


def _wish(wish: EndpointSpec) -> EndpointSpec:
    return replace(wish, network=networks.DEFAULT) if wish.network == networks.COMPOSE_DEFAULT else wish


def _check(state: HostState, spec: ContainerSpec) -> None:
    """Raise :class:`Refused` for what netlab does not reproduce of a container."""
    for what, given in (
        ("links", spec.links),
        ("domainname", spec.domainname),
        ("dns_search", spec.dns_search),
        ("dns_opt", spec.dns_opt),
    ):
        if given:
            raise Refused("container", spec.node, f"netlab does not reproduce {what} with Podman yet")
    kind, _, target = spec.network_mode.partition(":")
    if kind == "container" and target not in state.containers:
        raise Refused("container", spec.node, f'no container with name or ID "{target}" found')


def _check_wish(state: HostState, node: str, wish: EndpointSpec) -> None:
    for what, given in (
        ("gw_priority", wish.gw_priority),
        ("interface_name", wish.interface_name),
        ("link_local_ips", wish.link_local_ips),
        ("driver_opts of a service's network", wish.driver_opts),
    ):
        if given:
            raise Refused("container", node, f"netlab does not reproduce {what} with Podman yet")
    if wish.network not in state.networks:
        raise Refused(
            "container", node, f"unable to find network with name or ID {wish.network}: network not found"
        )


def start(state: HostState, rules: Firewaller, container: Container) -> None:
    """``podman start`` of a container that does not run; raises :class:`Refused`, and nothing has changed."""
    spec = container.spec
    rootless.check_uplink(state, spec)
    if state.host.rootless:
        rootless.check_ports(state, container)
    publish.check_free(state, container, [state.networks[wish.network] for wish in container.wishes])
    leases = _lease_all(state, container)
    container.starts += 1
    container.next_index = 2
    ordered = in_some_order(state, container.wishes)
    _note_chance(state, container, ordered)
    for wish in ordered:
        ifname = f"eth{container.wishes.index(wish)}"
        _join(state, rules, container, wish, ifname, leases[wish.network])
    container.running = True
    container.host_address = etc.gateway(state, container)
    # A dict keeps insertion order: the last container to start comes last.
    state.containers[spec.node] = state.containers.pop(spec.node)


def _note_chance(state: HostState, container: Container, ordered: list[EndpointSpec]) -> None:
    if len(ordered) < 2:
        return
    order = ", ".join(wish.network for wish in ordered)
    text = (
        "Podman leaves to chance in which order it sets up the networks, and so which of them gets what is "
        "sent to a published port (the first), and which has the default route that counts (the last); here "
        f"the order is {order}"
    )
    state.note("container", container.spec.node, text, by_chance=True)


def _lease_all(state: HostState, container: Container) -> dict[str, dict[Family, Address]]:
    """Addresses on every network, before any of them is set up."""
    found: dict[str, dict[Family, Address]] = {}
    try:
        for wish in container.wishes:
            found[wish.network] = _lease(state.networks[wish.network], container, wish)
    except PoolError as error:
        for name, addresses in found.items():
            _release(state.networks[name], addresses)
        raise Refused("container", container.spec.node, str(error)) from None
    return found


def _lease(network: LiveNetwork, container: Container, wish: EndpointSpec) -> dict[Family, Address]:
    asked = {Family.IPV4: wish.ipv4_address, Family.IPV6: wish.ipv6_address}
    found: dict[Family, Address] = {}
    for family, text in asked.items():
        if text is not None and family not in network.leases:
            raise PoolError(f"requested static ip {text} not in any subnet on network {network.name}")
    try:
        for family, leases in network.leases.items():
            text = asked[family]
            owner = container.spec.id
            found[family] = leases.next(owner) if text is None else leases.take(text, owner)
    except PoolError:
        _release(network, found)
        raise
    return found


def _release(network: LiveNetwork, addresses: dict[Family, Address]) -> None:
    for family, address in addresses.items():
        network.leases[family].release(address)


def _join(
    state: HostState,
    rules: Firewaller,
    container: Container,
    wish: EndpointSpec,
    ifname: str,
    addresses: dict[Family, Address],
) -> None:
    """What netavark does to set one network up: bridge, link, rules, ports."""
    network = state.networks[wish.network]
    networks.raise_bridge(state, network)
    spec = container.spec
    mac = wish.mac_address or identifiers.mac(spec.id, network.spec.id, str(container.starts))
    endpoint = Endpoint(
        wish, spec.node, mac, addresses, ifname, _free_veth(state), container.next_index, state.claim_index()
    )
    container.next_index += 1
    container.endpoints.append(endpoint)
    network.endpoints[spec.node] = endpoint
    if Family.IPV6 in addresses:
        key = f"net.ipv6.conf.{endpoint.veth}.accept_dad"
        state.sysctls.write(key, "0", f"{spec.node} on {network.title}: its address is no duplicate")
    if not network.internal:
        rules.setup_network(state, network)
        rules.setup_ports(state, network, container, endpoint)
        if container.published and state.traits.localnet_for_ports:
            networks.route_localnet(state, network)


def _free_veth(state: HostState) -> str:
    taken = {endpoint.veth for one in state.containers.values() for endpoint in one.endpoints}
    return next(name for number in count() if (name := f"veth{number}") not in taken)


def stop(state: HostState, rules: Firewaller, container: Container) -> None:
    """``podman stop`` of a container that runs."""
    container.last_addresses = tuple(str(a) for one in container.named for a in one.addresses.values())
    for endpoint in tuple(container.endpoints):
        _leave(state, rules, container, endpoint)
    container.running = False


def _leave(state: HostState, rules: Firewaller, container: Container, endpoint: Endpoint) -> None:
    """What netavark does to tear one network down."""
    network = state.network_of(endpoint)
    last = len(network.endpoints) == 1
    if not network.internal:
        rules.teardown_ports(state, network, container, endpoint)
        if last:
            rules.teardown_last_ports(state, network, container, endpoint)
            rules.teardown_network(state, network)
    container.endpoints.remove(endpoint)
    del network.endpoints[container.spec.node]
    state.sysctls.forget(endpoint.veth)
    _release(network, endpoint.addresses)
    if last:
        networks.lower_bridge(state, network)


def reload(state: HostState, rules: Firewaller, named: Container | None) -> None:
    """``podman network reload`` of a container, or of all that run, in an order that is left to chance.

    What is there is torn down and set up again, with the same addresses: rules that others have deleted come
    back, at the end. Links are new, and so is the bridge of a network without another container.
    """
    if named is None:
        running = [one for one in state.containers.values() if one.running and one.endpoints]
        for container in in_some_order(state, running):
            _reload(state, rules, container)
        return
    if not named.running:
        reason = "cannot reload network unless container network has been configured"
    elif not named.endpoints:
        reason = f"container {named.spec.id} network is not configured, refusing to reload"
    else:
        _reload(state, rules, named)
        return
    raise Refused("container", named.spec.node, f"{reason}: container state improper")


def _reload(state: HostState, rules: Firewaller, container: Container) -> None:
    kept = {endpoint.spec.network: endpoint for endpoint in container.endpoints}
    for endpoint in kept.values():
        _leave(state, rules, container, endpoint)
    for wish in in_some_order(state, [wish for wish in container.wishes if wish.network in kept]):
        network, old = state.networks[wish.network], kept[wish.network]
        for family, address in old.addresses.items():
            network.leases[family].take(str(address), container.spec.id)
        _join(state, rules, container, wish, old.ifname, old.addresses)


def connect(state: HostState, rules: Firewaller, container: Container, given: EndpointSpec) -> None:
    """``podman network connect`` of a container that exists."""
    node, wish = container.spec.node, _wish(given)
    _check_wish(state, node, wish)
    if any(old.network == wish.network for old in container.wishes):
        reason = f"container {container.spec.id} is already connected to network {wish.network!r}: "
        raise Refused("container", node, f"{reason}network is already connected")
    if not container.wishes:
        reason = f'"{container.spec.network_mode}" is not supported: invalid network mode'
        raise Refused("container", node, reason)
    if container.running:
        try:
            addresses = _lease(state.networks[wish.network], container, wish)
        except PoolError as error:
            raise Refused("container", node, str(error)) from None
        taken = {endpoint.ifname for endpoint in container.endpoints}
        ifname = next(name for number in count() if (name := f"eth{number}") not in taken)
        _join(state, rules, container, wish, ifname, addresses)
    container.wishes.append(wish)


def disconnect(state: HostState, rules: Firewaller, container: Container, network: str) -> None:
    """``podman network disconnect``."""
    name = networks.DEFAULT if network == networks.COMPOSE_DEFAULT else network
    if not any(wish.network == name for wish in container.wishes):
        reason = f"container {container.spec.name} is not connected to network {name!r}"
        raise Refused("container", container.spec.node, reason)
    for endpoint in [one for one in container.endpoints if one.spec.network == name]:
        _leave(state, rules, container, endpoint)
    container.wishes = [wish for wish in container.wishes if wish.network != name]
