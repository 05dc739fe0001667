"""Which names a container network knows, and the DNS servers that answer them (libnetwork/network.go)."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.docker.containers import in_order
from netlab.engine.docker.host_state import Container, HostState, LiveNetwork
from netlab.engine.docker.networks import DEFAULT_BRIDGE
from netlab.model.identifiers import digest
from netlab.model.plan import DnsName, Resolver

#: The kernel's ip_local_port_range, from which it picks the ports of Docker's server.
EPHEMERAL = range(32768, 61000)


def names(state: HostState, network: LiveNetwork) -> tuple[DnsName, ...]:
    """Every name on a user-defined network; docker0 has none."""
    found: dict[str, list[str]] = {}
    if not network.default_bridge:
        for node, endpoint in network.endpoints.items():
            addresses = [str(address) for address in endpoint.addresses.values()]
            for name in _known_as(state.containers[node], endpoint.spec.aliases):
                found.setdefault(name.lower(), []).extend(addresses)
    return tuple(DnsName(name, tuple(addresses)) for name, addresses in found.items())


def _known_as(container: Container, aliases: tuple[str, ...]) -> Iterator[str]:
    """A container's own name, its aliases, its short id and its host name (daemon.buildEndpointDNSNames)."""
    spec = container.spec
    yield from dict.fromkeys(filter(None, (spec.name, *aliases, spec.id[:12], spec.hostname)))


def resolver(state: HostState, container: Container) -> Resolver | None:
    """The server of a running container that ever was on a user-defined network."""
    if not container.running or not container.resolver:
        return None
    networks = [e.spec.network for e in in_order(state, container) if e.spec.network != DEFAULT_BRIDGE]
    taken = {m.container_port for m in container.mappings}
    taken |= {port.port for port in (*container.spec.expose, *container.spec.listen)}
    udp, tcp = _ports(state, taken)
    options = container.spec.dns_opt or state.daemon.dns_opts
    return Resolver(
        node=container.spec.node,
        host=state.host.name,
        udp=udp,
        tcp=tcp,
        networks=tuple(networks),
        aliases=tuple(_links(state, container, networks)),
        ndots=any(option.startswith("ndots:") for option in options),
    )


def _ports(state: HostState, taken: set[int]) -> Iterator[int]:
    """Two ports that nothing in the container wants: the same for all, so that their rules are the same."""
    first = int(digest("resolver", state.host.name)[:8], 16)
    found: list[int] = []
    for number in range(first, first + len(EPHEMERAL)):
        port = EPHEMERAL[number % len(EPHEMERAL)]
        if port not in taken:
            found.append(port)
        if len(found) == 2:
            break
    return iter(found)


def _links(state: HostState, container: Container, networks: list[str]) -> Iterator[tuple[str, str, str]]:
    """(alias, network, the other's name) of each link, where both are on a network; the last one counts."""
    found: dict[tuple[str, str], str] = {}
    for node, alias in container.spec.links:
        for network in networks:
            if node in state.networks[network].endpoints:
                found[alias.lower(), network] = state.containers[node].spec.name.lower()
    for (alias, network), name in found.items():
        yield alias, network, name
