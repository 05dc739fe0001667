"""/etc/hosts and /etc/resolv.conf of containers, as Podman writes them.

Source: recordings; containers/common, libnetwork/etchosts (added hosts come first).
"""

from __future__ import annotations

from collections.abc import Iterator

from netlab.engine.podman import rootless
from netlab.engine.podman.host_state import Container, HostState
from netlab.model.family import Family, bare

#: In extra_hosts, the host itself.
HOST_GATEWAY = "host-gateway"
SEARCH = "dns.podman"
#: What Podman falls back on where the host has no resolver of its own, as every one here (resolvconf).
DEFAULT_SERVERS = ("8.8.8.8", "8.8.4.4")
#: ... and beside them for a container with IPv6; measured on 4.3.1
DEFAULT_SERVERS_6 = ("2001:4860:4860::8888", "2001:4860:4860::8844")


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
        *_own(state, container),
    ]
    for other in state.containers.values():
        if other.shares == container.spec.node:
            lines.append(("127.0.0.1", f"{other.hostname} {other.spec.name}"))
    return "".join(f"{address}\t{names}\n" for address, names in lines)


def gateway(state: HostState, container: Container) -> str:
    """The address that a container has for its host: the first bridge's."""
    for endpoint in container.named:
        network = state.network_of(endpoint)
        for family in network.families:
            return str(network.gateway(family))
    return rootless.host_address(state, container)


def _extra(state: HostState, container: Container) -> Iterator[tuple[str, str]]:
    for name, address in container.spec.extra_hosts:
        given = gateway(state, container) if address == HOST_GATEWAY else bare(address)
        if given:
            yield given, name


def _host(state: HostState, container: Container) -> Iterator[tuple[str, str]]:
    address = container.host_address
    if not address and container.spec.network_mode == "none":
        own = (bare(a) for one in state.host.interfaces for a in one.addresses)
        address = next((a for a in own if Family.of(a) is Family.IPV4), "")
    if address:
        yield address, " ".join(state.traits.host_names)


def _own(state: HostState, container: Container) -> Iterator[tuple[str, str]]:
    if container.spec.network_mode == "none":
        yield "127.0.0.1", f"{container.hostname} {container.spec.name}"
    if container.spec.network_mode in rootless.MODES:
        yield rootless.own_address(state, container), f"{container.hostname} {container.spec.name}"
    own = [str(address) for endpoint in container.named for address in endpoint.addresses.values()]
    for address in own if container.running else container.last_addresses:
        yield address, f"{container.hostname} {container.spec.name}"


def resolv_conf(state: HostState, container: Container) -> str:
    """aardvark-dns's addresses where a network has it, otherwise the given servers, or the default ones."""
    owner = state.containers.get(container.shares)
    if container.shares:
        return resolv_conf(state, owner) if owner is not None else ""
    if container.spec.network_mode == "host" or not container.running:
        return ""
    with_dns = [n for n in map(state.network_of, container.named) if n.dns]
    servers = [str(n.gateway(family)) for n in with_dns for family in n.families]
    if container.spec.dns and not state.traits.newer_dns:
        with_dns = []
    search = [f"search {' '.join([SEARCH] * len(with_dns))}"] if with_dns else []
    if not with_dns:
        servers = [*(container.spec.dns or (*rootless.dns(container), *DEFAULT_SERVERS))]
    elif not state.traits.newer_dns:  # the host's own come last
        both = any(Family.IPV6 in n.families for n in with_dns)
        servers += [*DEFAULT_SERVERS, *(DEFAULT_SERVERS_6 if both else ())]
    return "".join(f"{line}\n" for line in (*search, *(f"nameserver {server}" for server in servers)))
