"""The plan: everything that will be made, as data. Same scenario, same plan, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netlab.model.errors import Position
from netlab.model.expectation import Expectation
from netlab.model.family import Family
from netlab.model.rules import IpSet, NftTable, Ruleset
from netlab.model.scenario import HostRule, Protocol

#: Where Docker's embedded DNS server is to be found in a container.
RESOLVER = "127.0.0.11"

NodeKind = Literal["host", "container", "outside", "segment"]


@dataclass(frozen=True, slots=True)
class Sysctl:
    """One write below /proc/sys/net of a namespace; ``key`` is dotted (``net.ipv4.ip_forward``).

    A name that holds a dot (``eth0.1``) is written with ``/`` in its place, as sysctl(8) does. Keys are
    applied in the order of the plan, those that name an interface once it exists.
    """

    key: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Interface:
    """One end of a link, in one namespace.

    ``kind`` ``veth`` needs ``peer`` (node, interface); the peer's entry names this one back. ``index`` is
    the ifindex to ask for, None for the kernel's choice. ``addresses`` with prefix length, in order.
    """

    name: str
    kind: Literal["veth", "bridge"]
    mac: str | None = None
    mtu: int = 1500
    peer: tuple[str, str] | None = None
    master: str | None = None
    addresses: tuple[str, ...] = ()
    up: bool = True
    hairpin: bool = False
    index: int | None = None
    #: tx queue length; None is the kernel's own (1000)
    txqlen: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Route:
    """A route; ``destination`` is ``default`` (then the family is that of ``via``) or a prefix."""

    destination: str
    via: str | None = None
    interface: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a userland proxy connects to."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that the engine keeps on the host for a published port.

    ``process`` is the name of the process that has it (``docker-proxy``, ``dockerd``, ``conmon``). With a
    ``backend`` it is a userland proxy; without one it only holds the port and never accepts: the kernel
    completes as many handshakes as ``backlog`` allows. ``v6only`` is None for an IPv4 socket; False is one
    dual-stack socket.
    """

    protocol: Protocol
    address: str
    port: int
    v6only: bool | None
    process: str
    backend: Backend | None
    backlog: int = 4096
    reason: str = ""
    #: the proxy's own arguments, as its command line shows them
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Responder:
    """A port on which the node's built-in server answers (wildcard address, both families).

    ``routed``: it answers a datagram from the address that the routing table picks, not from the one that
    was asked.
    """

    protocol: Protocol
    port: int
    service: str
    routed: bool = False


@dataclass(frozen=True, slots=True)
class Publication:
    """A published port, for people and for the matrix: which host endpoint leads to which container."""

    host: str
    host_address: str  #: as bound; empty for every address
    host_port: int
    protocol: Protocol
    node: str
    container_port: int
    network: str


@dataclass(frozen=True, slots=True)
class DnsName:
    """A name of a container network, in lower case, and the addresses of all who have it."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Docker's embedded DNS server of one container, at :data:`RESOLVER` in its namespace.

    ``udp`` and ``tcp`` are the ports to which the node's rules lead port 53. Names are looked for in
    ``networks`` (docker names on ``host``), in this order. ``aliases`` are this container's alone: (alias,
    network, the name that it stands for there). ``ndots``: the user's own option, with which an unknown name
    without a dot has no address, instead of being asked for elsewhere. There is no elsewhere in a lab:
    what is not known is a server failure.
    """

    node: str
    host: str
    udp: int
    tcp: int
    networks: tuple[str, ...]
    aliases: tuple[tuple[str, str, str], ...] = ()
    ndots: bool = False


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """A container network of the lab, for name resolution, ``sees: gateway`` and pictures."""

    name: str  #: the docker name
    key: str  #: the Compose key, or the docker name if it has none
    host: str
    bridge: str
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]
    internal: bool
    #: (node, interface, addresses with prefix length), in order of attachment
    members: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    #: what Docker's DNS server knows of it
    names: tuple[DnsName, ...] = ()


@dataclass(frozen=True, slots=True)
class RealFirewall:
    """A host's firewall tool that runs itself, kept inside the lab, before the engine's rules are put in.

    ``files`` are (path below the tool's folder in /etc, contents); ``calls`` are commands of the tool's once
    it is up; ``rules`` are (family, input for ``iptables-restore --noflush``) and ``tables`` native ones: the
    engine's rules, where they stand among the tool's; ``joined`` are the bridges that the engine has put into
    firewalld's zone docker.
    """

    tool: Literal["ufw", "firewalld"]
    files: tuple[tuple[str, str], ...] = ()
    calls: tuple[tuple[str, ...], ...] = ()
    rules: tuple[tuple[Family, str], ...] = ()
    tables: tuple[NftTable, ...] = ()
    joined: tuple[str, ...] = ()
    sets: tuple[IpSet, ...] = ()


@dataclass(frozen=True, slots=True)
class ForgottenConnections:
    """Entries of the host's conntrack that the engine deletes when a container starts, stops or moves.

    ``answered_by``: those whose answers come from or go to one of these addresses, at start and at stop.
    ``udp_opened`` and ``udp_closed``: those of UDP that were sent to one of these (address, port), when the
    container's ports open, and when they close; an empty address is every address.
    """

    answered_by: tuple[str, ...] = ()
    udp_opened: tuple[tuple[str, int], ...] = ()
    udp_closed: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """A network namespace with a name, or (``namespace`` names another node) a guest in one.

    ``hostname`` is what gethostname(2) says, ``hostname_file`` what /etc/hostname does, if that is another.
    ``hosts_file`` and ``resolv_conf`` are contents; empty means the machine's own. ``rulesets`` are
    loaded in order, one transaction each. ``commands`` are the administrator's lines, run last.
    """

    name: str
    kind: NodeKind
    namespace: str
    hostname: str = ""
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    rulesets: tuple[Ruleset, ...] = ()
    commands: tuple[HostRule, ...] = ()
    listeners: tuple[Listener, ...] = ()
    responders: tuple[Responder, ...] = ()
    command: tuple[str, ...] = ()
    hostname_file: str = ""
    hosts_file: str = ""
    resolv_conf: str = ""
    engine: str = ""
    #: of a container: its container name and the node name of its host
    container: str = ""
    host: str = ""
    #: of a host: ``shared``, ``per-port`` or the path of a real docker-proxy
    proxy: str = "shared"
    #: of a host: the tool that writes the firewall's share of ``rulesets``, which are not loaded then
    firewall: RealFirewall | None = None
    #: of a container: what its host's conntrack forgets with it
    forgets: ForgottenConnections | None = None

    @property
    def etc_hostname(self) -> str:
        """The contents of /etc/hostname."""
        return f"{self.hostname_file or self.hostname or self.name}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """What a user should know of a plan though nothing is refused: what the engine reads and ignores, what a
    real daemon leaves to chance, what was not measured.
    """

    position: Position
    text: str
    #: A real daemon decides this anew each time; netlab always takes the same of its possible answers.
    by_chance: bool = False

    def __str__(self) -> str:
        return f"{self.position}: {self.text}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be made."""

    name: str
    project: str
    nodes: tuple[Node, ...]
    networks: tuple[NetworkFacts, ...]
    publications: tuple[Publication, ...]
    expect: tuple[Expectation, ...] = ()
    resolvers: tuple[Resolver, ...] = ()
    notes: tuple[Note, ...] = ()

    def node(self, name: str) -> Node:
        """The node of that name; raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
