"""Which names a network knows, and where aardvark-dns answers them."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.podman.host_state import Container, HostState, LiveNetwork
from netlab.model.plan import DnsName, Resolver


def names(state: HostState, network: LiveNetwork) -> tuple[DnsName, ...]:
    """Every name on a network, but on ``podman``, which has no DNS."""
    found: dict[str, list[str]] = {}
    for node, endpoint in network.endpoints.items() if network.dns else ():
        addresses = [str(address) for address in endpoint.addresses.values()]
        for name in _known_as(state, state.containers[node], endpoint.spec.aliases):
            found.setdefault(name.lower() if state.traits.newer_dns else name, []).extend(addresses)
    return tuple(DnsName(name, tuple(addresses)) for name, addresses in found.items())


def _known_as(state: HostState, container: Container, aliases: tuple[str, ...]) -> Iterator[str]:
    """Its name, its aliases, its short id, and its host name (5.x)."""
    last = (container.hostname,) if state.traits.hostname_in_dns else ()
    yield from dict.fromkeys((container.spec.name, *aliases, container.spec.id[:12], *last))


def resolvers(state: HostState) -> Iterator[Resolver]:
    """A server at each gateway of every network with DNS that has a bridge."""
    for network in state.networks.values():
        for family in network.families if network.dns and network.index is not None else ():
            address, host, port = str(network.gateway(family)), state.host.name, state.dns_port
            if state.traits.newer_dns:
                yield Resolver(
                    host, host, port, port, (network.name,), address=address, program="aardvark-dns"
                )
            else:
                yield Resolver(
                    host, host, port, 0, (network.name,), address=address, program="aardvark-dns 1.4"
                )
