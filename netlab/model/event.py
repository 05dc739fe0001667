"""The events of a container engine, in the terms of its API.

The order of events affects the rules, so a plan is the result of all events in order.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from netlab.model.family import Family
from netlab.model.rules import IptablesRuleset, NftTable
from netlab.model.scenario import ExposedPort, JsonValue, Pool, PortMapping, Protocol, RestartPolicy


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """``docker network create``: everything that shapes a bridge network.

    ``id`` is 64 hex digits, derived from the project and the name, so that a plan is the same on every
    machine; an unnamed bridge is ``br-`` and its first twelve.
    """

    name: str
    id: str
    driver: str = "bridge"
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    pools: tuple[Pool, ...] = ()
    internal: bool = False
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    label: str = ""  #: how people call it (the Compose key), for reasons
    engine: str = ""  #: whose it is, where a host has two engines


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """``docker network connect``: a container's request for one network."""

    network: str  #: the network's docker name
    ipv4_address: str | None = None
    ipv6_address: str | None = None
    link_local_ips: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    mac_address: str | None = None
    interface_name: str | None = None
    gw_priority: int = 0
    driver_opts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """``docker run``: everything of a container that touches the network.

    ``node`` is the node's name in the lab, ``name`` the container's (``httpd-httpd-1``).
    ``network_mode``: ``bridge`` (the engine's default network), ``host``, ``none``, ``container:NODE``, or
    the name of the first network. ``endpoints`` are in file order; the engine decides in which order it
    joins them.
    """

    node: str
    name: str
    id: str
    network_mode: str
    endpoints: tuple[EndpointSpec, ...] = ()
    ports: tuple[PortMapping, ...] = ()
    expose: tuple[ExposedPort, ...] = ()
    hostname: str = ""
    domainname: str = ""
    uts_host: bool = False  #: ``--uts=host``
    extra_hosts: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()  #: (node, alias)
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = False
    restart: RestartPolicy = "no"
    #: ports on which the container's program listens. They are no option of ``docker run``: a container stays
    #: when they change.
    listen: tuple[ExposedPort, ...] = field(default=(), compare=False)
    #: whose it is, where a host has two engines
    engine: str = ""


@dataclass(frozen=True, slots=True)
class NetworkCreate:
    """``docker network create``."""

    network: NetworkSpec


@dataclass(frozen=True, slots=True)
class NetworkRemove:
    """``docker network rm``."""

    network: str


@dataclass(frozen=True, slots=True)
class ContainerStart:
    """``docker run`` of a new container."""

    container: ContainerSpec


@dataclass(frozen=True, slots=True)
class ContainerStop:
    """``docker stop``: the container stays known and can be restarted."""

    node: str


@dataclass(frozen=True, slots=True)
class ContainerRestart:
    """``docker restart``, or ``docker start`` (``if_stopped``: nothing happens to one that runs)."""

    node: str
    if_stopped: bool = False


@dataclass(frozen=True, slots=True)
class ContainerRemove:
    """``docker rm -f``."""

    node: str


@dataclass(frozen=True, slots=True)
class Connect:
    """``docker network connect``."""

    node: str
    endpoint: EndpointSpec


@dataclass(frozen=True, slots=True)
class Disconnect:
    """``docker network disconnect``."""

    node: str
    network: str


@dataclass(frozen=True, slots=True)
class DaemonStop:
    """SIGTERM to dockerd."""


@dataclass(frozen=True, slots=True)
class DaemonStart:
    """dockerd is started again on the same data root."""


@dataclass(frozen=True, slots=True)
class DaemonConfigure:
    """daemon.json is edited; the daemon reads it when it starts. A value of None takes a key out."""

    settings: tuple[tuple[str, JsonValue], ...]


@dataclass(frozen=True, slots=True)
class HostReboot:
    """The host goes down and comes up: its own rules and settings, then the daemon, then what it restarts."""


@dataclass(frozen=True, slots=True)
class NetworkReload:
    """``podman network reload`` of one container; of all that run (``--all``) if ``node`` is empty."""

    node: str = ""


@dataclass(frozen=True, slots=True)
class FirewallReload:
    """The host's firewall is reloaded (``firewall-cmd --reload``, ``ufw reload``)."""


@dataclass(frozen=True, slots=True)
class FirewallFlush:
    """An administrator's ``iptables -F`` and ``iptables -t nat -F`` in both families."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What another engine has on the same host at the moment: what this one cannot have, too.

    ``listening`` are (protocol, address, port); ``next_index`` is the next ifindex that the kernel gives.
    """

    next_index: int = 0
    subnets: tuple[str, ...] = ()
    listening: tuple[tuple[Protocol, str, int], ...] = ()

    def listens(self, protocol: str, address: str, port: int) -> bool:
        """Whether a socket there keeps this one from being bound."""
        family = Family.of(address)
        return any(
            (kind, number) == (protocol, port)
            and Family.of(there) is family
            and (there == address or family.any in (there, address))
            for kind, there, number in self.listening
        )


@dataclass(frozen=True, slots=True)
class HostFound:
    """What others have made of the host meanwhile: the next event acts on these rules and settings.

    ``rulesets`` holds each family of iptables, and each native table of the engine's, whose rules were not
    those that the engine had left, whole; a table without chains is gone. ``neighbour`` is another engine.
    ``written``: the files of the scenario's ``found`` say it; without rulesets, they are yet to be compared
    with the engine's.
    """

    rulesets: tuple[IptablesRuleset | NftTable, ...]
    sysctls: tuple[tuple[str, str], ...] = ()
    neighbour: Neighbour | None = None
    written: bool = False


Event = (
    NetworkCreate
    | NetworkRemove
    | ContainerStart
    | ContainerStop
    | ContainerRestart
    | ContainerRemove
    | Connect
    | Disconnect
    | DaemonStop
    | DaemonStart
    | NetworkReload
    | FirewallReload
    | FirewallFlush
    | HostFound
    | DaemonConfigure
    | HostReboot
)


@dataclass(frozen=True, slots=True)
class HostCommand:
    """A tool is run in a node of a running lab, with ``given`` as its input; no engine takes part."""

    node: str
    argv: tuple[str, ...]
    given: str = ""


Happening = Event | HostCommand


def words_of(event: Happening) -> str:
    """What happened, in the words of the engine's own command line."""
    match event:
        case HostCommand(node, argv):
            return f"{node} runs {shlex.join(argv)}"
        case DaemonConfigure(settings):
            changed = ", ".join(key if value is not None else f"no {key}" for key, value in settings)
            return f"daemon.json is changed: {changed}"
        case HostReboot():
            return "the host is rebooted"
        case NetworkCreate(network):
            return f"network {network.name} is created"
        case NetworkRemove(name):
            return f"network {name} is removed"
        case ContainerStart(container):
            return f"container {container.node} is run"
        case ContainerStop(node):
            return f"container {node} is stopped"
        case ContainerRestart(node, if_stopped):
            return f"container {node} is {'started' if if_stopped else 'restarted'}"
        case ContainerRemove(node):
            return f"container {node} is removed"
        case Connect(node, endpoint):
            return f"container {node} is connected to {endpoint.network}"
        case Disconnect(node, name):
            return f"container {node} is disconnected from {name}"
        case DaemonStop():
            return "the daemon is stopped"
        case DaemonStart():
            return "the daemon is started"
        case NetworkReload(node):
            return f"the networks of {node or 'all containers'} are reloaded"
        case FirewallReload():
            return "the firewall is reloaded"
        case FirewallFlush():
            return "the firewall is flushed"
        case HostFound():
            return "others have changed the host"
