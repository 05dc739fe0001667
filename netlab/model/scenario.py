"""What the user wrote, after Compose's own rules (interpolation, merge, extends, include, profiles)
were applied and everything was checked.

Source: the Compose specification; ``x-netlab`` is netlab's own. Tuples keep the order of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from netlab.model.expectation import Expectation, ExposureExpectation, ScenarioEvent
from netlab.model.problem import Position, Problem
from netlab.model.rules import IptablesRuleset

Protocol = Literal["tcp", "udp", "sctp"]
#: What Docker does with a container that ended, or that ran before its daemon started.
RestartPolicy = Literal["no", "always", "unless-stopped", "on-failure"]
JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True, slots=True)
class PortMapping:
    """One published container port (ranges are expanded to one mapping a container port).

    ``host_ports`` is the inclusive range that the host port is taken from: ``(80, 80)`` for a fixed
    one, ``(8000, 8010)`` for "one of these", None for an ephemeral one. ``host_ip`` is as written,
    without brackets, and empty when not given.
    """

    container_port: int
    protocol: Protocol = "tcp"
    host_ports: tuple[int, int] | None = None
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class ExposedPort:
    """A port that ``expose``, or a ``listen`` of netlab's, names.

    ``program``: what the server that answers on it calls itself; empty: as its node or service is called.
    """

    port: int
    protocol: Protocol = "tcp"
    program: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A service on a network (the long form of ``services.NAME.networks.KEY``)."""

    network: str  #: the key in :attr:`Scenario.networks`
    ipv4_address: str | None = None
    ipv6_address: str | None = None
    link_local_ips: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    mac_address: str | None = None
    interface_name: str | None = None
    priority: int = 0
    gw_priority: int = 0
    driver_opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Service:
    """One Compose service."""

    name: str
    position: Position
    #: its Compose project's name, and its name there if another project of the lab has a service of that name
    project: str = ""
    written: str = ""
    host: str = "host"
    image: str | None = None
    container_name: str | None = None
    hostname: str | None = None
    domainname: str | None = None
    #: ``uts: host``: its processes have the host's name
    uts_host: bool = False
    #: ``None`` means the networks below; otherwise ``bridge``, ``host``, ``none``, ``service:X``,
    #: ``container:X``, or the docker name of a network, which is then the only one below
    network_mode: str | None = None
    networks: tuple[Attachment, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    #: ports that Docker does not publish in the service's network mode; it listens on them all the same
    discarded: tuple[PortMapping, ...] = ()
    expose: tuple[ExposedPort, ...] = ()
    #: x-netlab ``udp_source: routed``: it answers datagrams from the address that the routing table picks
    udp_routed: bool = False
    #: what its image is known to declare (EXPOSE)
    image_ports: tuple[ExposedPort, ...] = ()
    #: x-netlab ``listen``: ports on which it answers in place of ``image_ports``; None if it does not say
    listen: tuple[ExposedPort, ...] | None = None
    #: x-netlab ``rules``: typed in its namespace once everything is up
    rules: tuple[HostRule, ...] = ()
    #: x-netlab ``command``: a real program that runs in the responder's place
    command: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()  #: (service, alias)
    external_links: tuple[tuple[str, str], ...] = ()  #: (container, alias)
    extra_hosts: tuple[tuple[str, str], ...] = ()  #: (name, address or ``host-gateway``)
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    mac_address: str | None = None
    replicas: int = 1
    restart: RestartPolicy = "no"
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    #: paths of devices in the container
    devices: tuple[str, ...] = ()
    #: whose container it is, on a host with two engines
    engine: str = ""

    @property
    def compose_name(self) -> str:
        """Its name in its Compose file, of which its containers' names are made."""
        return self.written or self.name


@dataclass(frozen=True, slots=True)
class Pool:
    """One entry of ``networks.KEY.ipam.config``."""

    subnet: str | None = None
    ip_range: str | None = None
    gateway: str | None = None
    aux_addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ComposeNetwork:
    """One Compose network that some service uses (``default`` included when it is implied)."""

    key: str
    name: str  #: what ``docker network ls`` would show: ``PROJECT_KEY``, or the ``name:`` given
    position: Position
    project: str = ""  #: of the Compose project that declares it
    external: bool = False
    driver: str = "bridge"
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    internal: bool = False
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None


@dataclass(frozen=True, slots=True)
class OutsideInterface:
    """An interface of the emulated host, or of an outside node, on an external segment."""

    name: str
    addresses: tuple[str, ...]  #: with prefix length
    segment: str = "ext"
    mtu: int = 1500  #: of the interface, and of the segment's port that it is plugged into
    #: where it is written; None if netlab made it
    position: Position | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class TenantBridge:
    """A bridge of other software (LXD, libvirt) that exists on the host before the engine starts."""

    name: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Firewall:
    """The host's own firewall beside the engine's rules.

    ``kind``: none, ufw, firewalld, iptables (rule files) or nftables (a rule file). ``files`` holds the
    *contents*, by key (``iptables``, ``ip6tables``, ``nftables``, ``after_rules``). ``options`` is the rest
    as written. ``rulesets`` is what the tool has written before the engine starts; :mod:`netlab.firewall`
    creates it, and it is empty in a scenario that was just read. ``names`` has the names of the files as
    written, ``positions`` where each option is (``rules.0``, ``zones.public.ports.1``).
    """

    kind: Literal["none", "ufw", "firewalld", "iptables", "nftables"] = "none"
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    rulesets: tuple[IptablesRuleset, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict, compare=False)
    positions: Mapping[str, Position] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Found:
    """The rules and settings that a host has once everything is up, whoever wrote them.

    ``files`` holds contents by key (``iptables``, ``ip6tables``, ``nftables``), ``names`` the files' names as
    written. A key that is missing leaves what the engine and the firewall would have written.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class HostRule:
    """A line that the administrator types once everything is up, as an argument vector.

    ``at_boot``: it is part of the host's configuration, and so runs again after a reboot.
    """

    argv: tuple[str, ...]
    position: Position
    at_boot: bool = False

    @property
    def text(self) -> str:
        """The line as typed."""
        return " ".join(self.argv)


@dataclass(frozen=True, slots=True)
class HostRoute:
    """A route of the host's own: to a prefix or ``default``, by a next hop or right on an interface.

    ``table`` is that of ``ip rule``; None is the main one.
    """

    destination: str
    via: str | None
    interface: str | None
    position: Position
    table: int | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """One emulated container host."""

    name: str
    position: Position
    engine: str = "docker"
    #: Podman's engine, on a host that has Docker's, too
    beside: str = ""
    daemon: Mapping[str, JsonValue] = field(default_factory=dict)
    daemon_positions: Mapping[str, Position] = field(default_factory=dict)
    firewall: Firewall = Firewall()
    #: in place of what the engine and the firewall write; None: they write it
    found: Found | None = None
    interfaces: tuple[OutsideInterface, ...] = ()
    bridges: tuple[TenantBridge, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    #: there before the engine starts
    routes: tuple[HostRoute, ...] = ()
    #: ``ip rule add …``, which lead to tables of ``routes``
    routing_policy: tuple[HostRule, ...] = ()
    listen: tuple[ExposedPort, ...] = ()
    rules: tuple[HostRule, ...] = ()
    udp_routed: bool = False
    #: ``shared`` (one process for all listeners), ``per-port``, or the path of a real docker-proxy
    proxy: str = "shared"
    #: WSL2 with mirrored networking: what Windows sends to 127.0.0.1 arrives on an interface ``loopback0``
    wsl2_mirrored: bool = False
    #: an ordinary user runs the engine
    rootless: bool = False
    #: what of the engine's environment shapes the network
    environment: Mapping[str, str] = field(default_factory=dict)
    #: ``[network]`` of Podman's containers.conf
    containers_conf: Mapping[str, JsonValue] = field(default_factory=dict)
    #: what has brought the project up; empty: the engine's own
    compose: Literal["", "docker-compose", "podman-compose"] = ""
    #: which of the ways it is in which what the engine leaves to chance can come out, from 1 on
    choice: int = 1


@dataclass(frozen=True, slots=True)
class Outside:
    """A node outside, on a segment of the host's."""

    name: str
    position: Position
    interfaces: tuple[OutsideInterface, ...]
    #: ``host`` (default routes through the host), ``none``, or (destination, via) pairs
    routes: Literal["host", "none"] | tuple[tuple[str, str], ...] = "host"
    route_positions: tuple[Position, ...] = field(default=(), compare=False)
    listen: tuple[ExposedPort, ...] = (ExposedPort(7000, "tcp"), ExposedPort(7000, "udp"))
    udp_routed: bool = False
    #: a router: it forwards between its interfaces
    forward: bool = False
    rules: tuple[HostRule, ...] = ()
    #: it answers for every address that no route leads elsewhere
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario: everything that :mod:`netlab.plan` needs, and nothing of YAML."""

    name: str  #: the lab's name; no dot in it
    project: str  #: Compose's project name; of several projects, the first one's
    files: tuple[str, ...]
    hosts: tuple[Host, ...]
    outside: tuple[Outside, ...]
    networks: tuple[ComposeNetwork, ...]
    services: tuple[Service, ...]
    events: tuple[ScenarioEvent, ...] = ()
    expect: tuple[Expectation, ...] = ()
    exposures: tuple[ExposureExpectation, ...] = ()
    #: what the user should know, and what ``lenient`` left out
    warnings: tuple[Problem, ...] = ()
    #: the profiles that services name, active or not
    profiles: tuple[str, ...] = ()

    def host(self, name: str) -> Host:
        """The host of that name; raises KeyError."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    def network(self, key: str) -> ComposeNetwork:
        """The network of that key; raises KeyError."""
        for network in self.networks:
            if network.key == key:
                return network
        raise KeyError(key)
