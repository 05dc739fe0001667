"""/etc/hosts and /etc/resolv.conf of containers, as Podman writes them.

Source: recordings; containers/common, libnetwork/etchosts (added hosts come first).
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.podman.host_state import Container, HostState
from netlab.model.family import bare

#: In extra_hosts, the host itself.
HOST_GATEWAY = "host-gateway"
SEARCH = "dns.podman"
#: What Podman falls back on where the host has no resolver of its own, as every one here (resolvconf).
DEFAULT_SERVERS = ("8.8.8.8", "8.8.4.4")


def hosts_file(state: HostState, container: Container) -> str:
    """The contents for one container; empty for one in the host's own namespace."""
    if container.spec.network_mode == "host":
        return ""
    owner = state.containers.get(container.shares)
    if container.shares:
        return hosts_file(state, owner) if owner is not None else ""
    lines = [
        *_extra(state, container),
        ("127.0.0.1", "localhost"),
        *_host(state, container),
        *_own(container),
    ]
    for other in state.containers.values():
        if other.shares == container.spec.node:
            lines.append(("127.0.0.1", other.spec.name))
    return "".join(f"{address}\t{names}\n" for address, names in lines)


def _gateway(state: HostState, container: Container) -> str:
    """The address that a container has for its host: the first bridge's."""
    for endpoint in container.named:
        network = state.network_of(endpoint)
        for family in network.families:
            return str(network.gateway(family))
    return ""


def _extra(state: HostState, container: Container) -> Iterator[tuple[str, str]]:
    for name, address in container.spec.extra_hosts:
        given = _gateway(state, container) if address == HOST_GATEWAY else bare(address)
        if given:
            yield given, name


def _host(state: HostState, container: Container) -> Iterator[tuple[str, str]]:
    gateway = _gateway(state, container)
    if gateway:
        yield gateway, " ".join(state.traits.host_names)


def _own(container: Container) -> Iterator[tuple[str, str]]:
    for endpoint in container.named:
        for address in endpoint.addresses.values():
            yield str(address), f"{container.hostname} {container.spec.name}"


def resolv_conf(state: HostState, container: Container) -> str:
    """aardvark-dns's addresses where a network has it, otherwise the given servers, or the default ones."""
    owner = state.containers.get(container.shares)
    if container.shares:
        return resolv_conf(state, owner) if owner is not None else ""
    if container.spec.network_mode == "host" or not container.running:
        return ""
    with_dns = [n for n in map(state.network_of, container.named) if n.dns]
    search = [f"search {' '.join([SEARCH] * len(with_dns))}"] if with_dns else []
    servers = [str(n.gateway(family)) for n in with_dns for family in n.families]
    servers = servers or [*(container.spec.dns or DEFAULT_SERVERS)]
    return "".join(f"{line}\n" for line in (*search, *(f"nameserver {server}" for server in servers)))
