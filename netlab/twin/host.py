"""A host as it was found: what its commands said, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from netlab.model.scenario import JsonValue

#: whose a network or a container is
DOCKER, PODMAN = "docker", "podman"


@dataclass(frozen=True, slots=True)
class Link:
    """An interface. ``kind`` is ``ip -d link``'s (bridge, veth, vlan, bond, wireguard …); empty: a device.

    ``addresses`` have a prefix length; those that the kernel itself makes (fe80::) are left out.
    """

    name: str
    index: int
    kind: str
    up: bool
    mtu: int
    mac: str = ""
    master: str = ""
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundRoute:
    """A route that somebody added. ``words`` is all of it in the words of ``ip route add``."""

    family: int
    kind: str
    destination: str
    via: str = ""
    interface: str = ""
    table: str = ""
    metric: int = 0
    onlink: bool = False
    source: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Socket:
    """A socket that takes packets: protocol, address (a wildcard is empty), port, the process's name."""

    protocol: str
    address: str
    port: int
    process: str
    family: int


@dataclass(frozen=True, slots=True)
class Network:
    """A network of Docker's or Podman's (``engine``). ``created`` sorts as text."""

    id: str
    name: str
    driver: str
    created: str
    internal: bool
    ipv4: bool
    ipv6: bool
    pools: tuple[Mapping[str, JsonValue], ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    engine: str = DOCKER

    @property
    def bridge(self) -> str:
        """The name of its bridge; empty for networks that have none."""
        if self.driver != "bridge":
            return ""
        return self.options.get("com.docker.network.bridge.name") or f"br-{self.id[:12]}"


@dataclass(frozen=True, slots=True)
class Binding:
    """A published port. ``address`` as the user gave it, empty for all; ``host_port`` 0: there is none."""

    port: int
    protocol: str
    address: str
    host_port: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A container on a network, by the network's name."""

    network: str
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    gw_priority: int = 0


@dataclass(frozen=True, slots=True)
class Container:
    """A container that runs, or not. ``listens``: the sockets in its namespace, if known."""

    id: str
    name: str
    started: str
    running: bool
    pid: int
    mode: str
    restart: str = ""
    bindings: tuple[Binding, ...] = ()
    exposed: tuple[tuple[int, str], ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    listens: tuple[Socket, ...] | None = None
    #: ``--link``: (the other container's name, alias)
    links: tuple[tuple[str, str], ...] = ()
    engine: str = DOCKER


@dataclass(frozen=True, slots=True)
class BootSetting:
    """A setting that a file of sysctl's sets at boot; ``file`` is empty if the collection does not say it."""

    file: str
    key: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RealHost:
    """Everything that a collection says of a host.

    ``docker``: the daemon's version, empty if there is none. ``notes``: what the reader could not take.
    """

    name: str
    links: tuple[Link, ...] = ()
    routes: tuple[FoundRoute, ...] = ()
    #: lines of ``ip rule add``, without those that every host has
    policy: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    sockets: tuple[Socket, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    #: what files set at boot, of forwarding and br_netfilter
    boot_settings: tuple[BootSetting, ...] = ()
    #: what iptables-save says, by program: iptables, iptables-legacy, iptables-nft, ip6tables …
    rules: Mapping[str, str] = field(default_factory=dict)
    nft: str = ""
    #: what ipset save says
    ipsets: str = ""
    docker: str = ""
    #: Podman's version, empty if it did not answer
    podman: str = ""
    backend: str = ""
    settings: Mapping[str, JsonValue] = field(default_factory=dict)
    #: what of dockerd's environment shapes the network
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Linux in WSL2 with mirrored networking
    mirrored: bool = False
    networks: tuple[Network, ...] = ()
    containers: tuple[Container, ...] = ()
    tools: tuple[str, ...] = ()
    #: what ufw does with routed packets, in its words: deny, allow, reject, disabled; empty without ufw
    ufw_routed: str = ""
    notes: tuple[str, ...] = ()
