"""/etc/hosts and /etc/resolv.conf of containers.

Docker answers names of user-defined networks by an embedded DNS server; here the same names stand in
/etc/hosts.  The lines of a large network are kept once, with the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netlab.engine.world import Container, LiveNetwork, World
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

#: A network with more members than this keeps their lines for all of them.
MANY = 64


@dataclass(slots=True)
class HostsFiles:
    """Writes /etc/hosts of the containers of one host; blocks of whole networks are made once."""

    world: World
    _blocks: dict[str, str] = field(default_factory=dict)
    _texts: dict[tuple[str, ...], str] = field(default_factory=dict)

    def of(self, container: Container) -> str:
        """The contents for one container; empty for one in the host's own namespace."""
        mode, _, target = container.spec.network_mode.partition(":")
        if mode == "host":
            return ""
        if mode == "container":
            other = self.world.containers.get(target)
            return self.of(other) if other is not None else ""
        own = tuple(self._own(container))
        networks = tuple(sorted(e.spec.network for e in container.endpoints))
        key = ("\0", *networks, "\0", *own)
        if key not in self._texts:
            defaults = (f"{address}\t{names}" for address, names in (*DEFAULTS_V4, *DEFAULTS_V6))
            text = "".join(f"{line}\n" for line in (*defaults, *own))
            small = (name for name in networks if not self.large(name))
            self._texts[key] = text + "".join(map(self.block, small))
        return self._texts[key]

    def _own(self, container: Container) -> Iterator[str]:
        """What only this container's file says: extra hosts, links, its name on docker0."""
        for name, address in container.spec.extra_hosts:
            yield f"{self._gateway() if address == 'host-gateway' else bare(address)}\t{name}"
        for node, alias in container.spec.links:
            other = self.world.containers.get(node)
            for address in _shared_addresses(container, other) if other else ():
                yield f"{address}\t{alias}"
        for endpoint in container.endpoints:
            if self.world.networks[endpoint.spec.network].default_bridge:
                for own in endpoint.addresses.values():
                    yield f"{own}\t{_own_names(container)}"

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

    def block(self, name: str) -> str:
        """The lines of everyone on a user-defined network."""
        if name not in self._blocks:
            network = self.world.networks[name]
            lines = [] if network.default_bridge else list(_members(self.world, network))
            self._blocks[name] = "".join(f"{line}\n" for line in lines)
        return self._blocks[name]


def _members(world: World, network: LiveNetwork) -> Iterator[str]:
    for node, endpoint in network.endpoints.items():
        container = world.containers[node]
        names = dict.fromkeys((*_own_names(container).split(), container.spec.name, *endpoint.spec.aliases))
        for address in endpoint.addresses.values():
            yield f"{address}\t{' '.join(names)}"


def _own_names(container: Container) -> str:
    spec = container.spec
    hostname = spec.hostname or spec.id[:12]
    return f"{hostname}.{spec.domainname} {hostname}" if spec.domainname else hostname


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
    servers = container.spec.dns or world.daemon.dns or ("8.8.8.8", "8.8.4.4")
    search = container.spec.dns_search or world.daemon.dns_search
    opts = container.spec.dns_opt or world.daemon.dns_opts
    if any(not world.networks[e.spec.network].default_bridge for e in container.endpoints):
        servers, opts = ("127.0.0.11",), (*opts, "ndots:0")
    lines = [f"nameserver {server}" for server in servers]
    if search:
        lines.append(f"search {' '.join(search)}")
    if opts:
        lines.append(f"options {' '.join(opts)}")
    return "".join(f"{line}\n" for line in lines)
