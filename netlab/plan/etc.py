"""/etc/hosts and /etc/resolv.conf of containers.

Docker answers names of user-defined networks by an embedded DNS server; here the same names stand in
/etc/hosts.  The lines of a large network are kept once, with the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netlab.engine.docker.networks import DEFAULT_BRIDGE
from netlab.engine.world import Container, Endpoint, World
from netlab.model.family import Family, bare

#: What Docker writes first (libnetwork/etchosts).
DEFAULTS_V4 = (("127.0.0.1", "localhost"),)
DEFAULTS_V6 = (
    ("::1", "localhost ip6-localhost ip6-loopback"),
    ("fe00::0", "ip6-localnet"),
    ("ff00::0", "ip6-mcastprefix"),
    ("ff02::1", "ip6-allnodes"),
    ("ff02::2", "ip6-allrouters"),
)

#: What Docker falls back on where the host has no resolver of its own.
GOOGLE = ("8.8.8.8", "8.8.4.4")
GOOGLE_V6 = ("2001:4860:4860::8888", "2001:4860:4860::8844")

#: A network with more members than this keeps their lines for all of them.
MANY = 64


@dataclass(slots=True)
class HostsFiles:
    """Writes /etc/hosts of the containers of one host; blocks of whole networks are made once."""

    world: World

    def of(self, container: Container) -> str:
        """The contents for one container; empty for one in the host's own namespace."""
        mode, _, target = container.spec.network_mode.partition(":")
        if mode == "host":
            return ""
        if mode == "container":
            other = self.world.containers.get(target)
            return self.of(other) if other is not None else ""
        lines = [f"{address}\t{names}" for address, names in (*DEFAULTS_V4, *DEFAULTS_V6)]
        lines += self._own(container)
        for endpoint in container.endpoints:
            if not self.large(endpoint.spec.network):
                lines += self._members(endpoint.spec.network, container.spec.node)
        return "".join(f"{line}\n" for line in lines)

    def _own(self, container: Container) -> Iterator[str]:
        """What only this container's file says: extra hosts, links, its own names."""
        for name, address in container.spec.extra_hosts:
            yield f"{self._gateway() if address == 'host-gateway' else bare(address)}\t{name}"
        for node, alias in container.spec.links:
            other = self.world.containers.get(node)
            if other is not None:
                names = f"{alias} {_hostname(other)} {other.spec.name}"
                yield from (f"{address}\t{names}" for address in _shared_addresses(container, other))
        for endpoint in container.endpoints:
            if endpoint.in_hosts:
                names = _names(container, endpoint)
                yield from (f"{own}\t{names}" for own in endpoint.addresses.values())

    def _gateway(self) -> str:
        """``host-gateway``: host-gateway-ip of daemon.json, else docker0's address."""
        configured = self.world.daemon.host_gateway_ip
        if configured:
            return configured
        docker0 = self.world.networks.get("bridge")
        return str(docker0.gateway(Family.IPV4)) if docker0 else "127.0.0.1"

    def large(self, network: str) -> bool:
        """Whether the network's lines are left to the network, so that a plan stays linear in its size."""
        return len(self.world.networks[network].endpoints) > MANY

    def _members(self, name: str, but: str = "") -> Iterator[str]:
        """The lines of everyone on a user-defined network; docker0 has no names."""
        network = self.world.networks[name]
        if network.default_bridge:
            return
        for node, endpoint in network.endpoints.items():
            if node != but:
                names = _names(self.world.containers[node], endpoint)
                for address in endpoint.addresses.values():
                    yield f"{address}\t{names}"

    def block(self, name: str) -> str:
        """The lines of everyone on a network, as one text."""
        return "".join(f"{line}\n" for line in self._members(name))


def _hostname(container: Container) -> str:
    return container.spec.hostname or container.spec.id[:12]


def _names(container: Container, endpoint: Endpoint) -> str:
    """A container's names on a network: its own, the container's, and the aliases."""
    spec, hostname = container.spec, _hostname(container)
    own = (f"{hostname}.{spec.domainname}", hostname) if spec.domainname else (hostname,)
    known = (spec.name, *endpoint.spec.aliases) if endpoint.spec.network != DEFAULT_BRIDGE else ()
    return " ".join(dict.fromkeys((*own, *known)))


def _shared_addresses(one: Container, other: Container) -> Iterator[str]:
    shared = {endpoint.spec.network for endpoint in one.endpoints}
    for endpoint in other.endpoints:
        if endpoint.spec.network in shared:
            yield from map(str, endpoint.addresses.values())


def resolv_conf(world: World, container: Container) -> str:
    """Docker's embedded server on user-defined networks, else the servers that were configured.

    A host without a usable resolver of its own, as every one here, has Docker fall back on Google's.
    """
    mode = container.spec.network_mode
    if mode == "host" or mode.startswith("container:"):
        return ""
    configured = container.spec.dns or world.daemon.dns
    servers = configured or (GOOGLE + (GOOGLE_V6 if container.resolves_ipv6 else ()))
    search = container.spec.dns_search or world.daemon.dns_search
    opts = container.spec.dns_opt or world.daemon.dns_opts
    inherited = not (configured or search or opts)
    if container.resolver:
        servers = ("127.0.0.11", *(server for server in servers if ":" in server))
        opts = opts if any(opt.startswith("ndots:") for opt in opts) else (*opts, "ndots:0")
        inherited = False
    lines = [""] if inherited else []
    if search:
        lines.append(f"search {' '.join(search)}")
    lines += [f"nameserver {server}" for server in servers]
    if opts:
        lines.append(f"options {' '.join(opts)}")
    return "".join(f"{line}\n" for line in lines)
