"""The plan: everything that netlab will create, as data. The same scenario always gives the same plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from netlab.model.capabilities import DEFAULT
from netlab.model.expectation import Expectation, ExposureExpectation, ScenarioEvent
from netlab.model.family import Family
from netlab.model.problem import Position
from netlab.model.rules import IpSet, NftTable, Ruleset
from netlab.model.scenario import HostRule, Protocol
from netlab.model.text import drawing_of

#: The address of Docker's embedded DNS server in a container.
RESOLVER = "127.0.0.11"

#: What :meth:`Plan.graph` can draw.
GraphForm = Literal["text", "mermaid", "dot", "svg"]
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

    ``kind`` ``veth`` needs ``peer`` (node, interface); the peer's entry names this one. ``index`` is the
    requested ifindex, None for the kernel's choice. ``addresses`` with prefix length, in order.
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
    """A route; ``destination`` is a prefix, or ``default`` (with the family of ``via``).

    ``metric`` is None for the kernel's own. With a metric, a route may stand beside one of the same
    destination and metric; in IPv4 the kernel uses the last one that was added.
    """

    destination: str
    via: str | None = None
    interface: str | None = None
    source: str | None = None
    metric: int | None = None
    #: who says that it is the origin (``proto`` of ``ip route``)
    protocol: Literal["boot", "static"] = "boot"

    @property
    def words(self) -> str:
        """The route in the words of ``ip route``."""
        metric = "" if self.metric is None else str(self.metric)
        origin = "" if self.protocol == "boot" else self.protocol
        named = (
            ("via", self.via),
            ("dev", self.interface),
            ("proto", origin),
            ("src", self.source),
            ("metric", metric),
        )
        return " ".join((self.destination, *(f"{word} {value}" for word, value in named if value)))


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
    #: the container into whose namespace it leads, by a way that no packet on the host takes
    inside: str = ""


@dataclass(frozen=True, slots=True)
class UserNetwork:
    """The network of a rootless container: a program on the host that takes its frames and has sockets there.

    ``interface`` is the container's, with ``guest_mac`` and ``addresses``; ``wire`` is the node that has the
    other end of its link, under the same name, and ``mac`` the program's address there. ``seen_as``: a
    client's address, and the one that the container sees in its place (an engine leaves it empty for the
    link-local one of the host's interface of that name). ``leads_to``: an address to which the container
    sends, and where the program sends that. ``unreachable``: addresses that it leads nowhere.
    """

    program: Literal["pasta", "slirp4netns"]
    node: str
    interface: str
    mac: str
    guest_mac: str
    addresses: tuple[str, ...]
    seen_as: tuple[tuple[str, str], ...] = ()
    leads_to: tuple[tuple[str, str], ...] = ()
    unreachable: tuple[str, ...] = ()

    @property
    def wire(self) -> str:
        """The node with the program's end of the link."""
        return f"segment-{self.program}-{self.node}"


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
class Unpublished:
    """A port that the file publishes and the engine does not, and why."""

    node: str
    port: int
    protocol: Protocol
    reason: str


@dataclass(frozen=True, slots=True)
class DnsName:
    """A name of a container network, in lower case where case does not count, and all who have it."""

    name: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolver:
    """A DNS server of the engine's, which listens on ``address`` in a node's namespace.

    Docker has one for each container, at :data:`RESOLVER`: ``udp`` and ``tcp`` are the ports to which the
    node's rules redirect port 53. Names are searched in ``networks`` (docker names on ``host``), in this
    order. ``aliases`` belong only to this container: (alias, network, the name that it means there).
    ``ndots``: the user has set this option, so an unknown name without a dot has no address, instead of being
    forwarded. Podman's aardvark-dns listens on the host, at the gateways of one network: a container gets the
    names of all its networks there. That of Podman 4 (1.4) has no TCP (``tcp`` is 0), knows only its own
    network, and minds the case of names.

    Nothing can be forwarded in a lab: an unknown name is a server failure.
    """

    node: str
    host: str
    udp: int
    tcp: int
    networks: tuple[str, ...]
    aliases: tuple[tuple[str, str, str], ...] = ()
    ndots: bool = False
    address: str = RESOLVER
    program: Literal["docker", "aardvark-dns", "aardvark-dns 1.4"] = "docker"

    @property
    def title(self) -> str:
        """What it is, for people."""
        if self.program == "docker":
            return "Docker's own DNS server"
        return f"Podman's DNS server ({self.program})"


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
class FirewalldZone:
    """What the engine has configured in firewalld over D-Bus; without bridges, nothing.

    ``name`` is a zone that accepts everything, in which ``bridges`` are, in order. ``policy`` is the name of
    a policy that accepts what is forwarded to that zone; empty: there is none.

    ``found``: for each family of iptables whose rules others have changed, the bridges that were in the zone
    then; the engine's rules of that family hold firewalld's own as they were left. ``found_table``: the same
    for firewalld's native table.
    """

    name: str = ""
    bridges: tuple[str, ...] = ()
    policy: str = ""
    found: Mapping[Family, tuple[str, ...]] = field(default_factory=dict)
    found_table: tuple[NftTable, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class RealFirewall:
    """A host's real firewall tool, which runs inside the lab before the engine's rules are inserted.

    ``files`` are (path below the tool's folder in /etc, contents); ``calls`` are commands of the tool for
    when it is up. The engine's rules are ``rules`` (family, input for ``iptables-restore --noflush``) and
    native ``tables``, in their positions among the tool's. ``joined`` are the bridges that the engine has
    added to firewalld's ``zone``.
    """

    tool: Literal["ufw", "firewalld"]
    files: tuple[tuple[str, str], ...] = ()
    calls: tuple[tuple[str, ...], ...] = ()
    rules: tuple[tuple[Family, str], ...] = ()
    tables: tuple[NftTable, ...] = ()
    joined: tuple[str, ...] = ()
    zone: str = ""
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
class Rights:
    """What the program of a container may do.

    ``capabilities`` are Docker's names. ``sysctls``: it may write /proc/sys/net. ``tun``: it has
    /dev/net/tun.
    """

    capabilities: tuple[str, ...] = DEFAULT
    sysctls: bool = False
    tun: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """A host, a container, an outside machine or a segment.

    >>> node = lab.plan.node("httpd")
    >>> node.kind, node.host, node.interfaces[0].name
    ('container', 'host', 'eth0')

    A node has its own network namespace, or shares the one of the node that ``namespace`` names. ``hostname``
    is the result of gethostname(2); ``hostname_file`` is the content of /etc/hostname, if different.
    ``hosts_file`` and ``resolv_conf`` are contents; empty means the machine's own. ``rulesets`` are loaded in
    order, one transaction each. ``commands`` are the administrator's commands, run last.
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
    #: of a host: the networks of its rootless containers
    user_networks: tuple[UserNetwork, ...] = ()
    #: of a host: the tool that writes the firewall's share of ``rulesets``, which are not loaded then
    firewall: RealFirewall | None = None
    #: of a container: what its host's conntrack forgets with it
    forgets: ForgottenConnections | None = None
    #: of an outside node: it answers for every address that no route leads elsewhere
    everywhere: bool = False
    #: of a container with a ``command``
    rights: Rights = Rights()

    @property
    def etc_hostname(self) -> str:
        """The contents of /etc/hostname.

        >>> lab.plan.node("client").etc_hostname.splitlines()
        ['client']
        """
        return f"{self.hostname_file or self.hostname or self.name}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """Something that you should know about a plan, although it is no error: options that the engine ignores,
    what a real daemon leaves to chance, what was never measured.
    """

    position: Position
    text: str
    #: A real engine decides this anew each time; netlab takes the way that ``choice`` says.
    by_chance: bool = False

    def __str__(self) -> str:
        return f"{self.position}: {self.text}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that netlab will create for a scenario.

    >>> plan = netlab.load_plan(["scenarios/httpd.yaml"])
    >>> sorted((one.host_port, one.node, one.container_port) for one in plan.publications)
    [(80, 'httpd', 80), (443, 'httpd', 443)]
    """

    name: str
    project: str
    nodes: tuple[Node, ...]
    networks: tuple[NetworkFacts, ...]
    publications: tuple[Publication, ...]
    expect: tuple[Expectation, ...] = ()
    resolvers: tuple[Resolver, ...] = ()
    notes: tuple[Note, ...] = ()
    unpublished: tuple[Unpublished, ...] = ()
    #: services whose containers answer on no port, as far as the scenario and their images say
    silent: tuple[str, ...] = ()
    #: events of the scenario that happen as soon as the lab is up: a plan does not know what they change
    events: tuple[ScenarioEvent, ...] = ()
    exposures: tuple[ExposureExpectation, ...] = ()
    #: in how many ways what the engines leave to chance can come out, and which one of them this is
    choices: int = 1
    choice: int = 1

    @property
    def engines(self) -> tuple[str, ...]:
        """The names of all engines, in alphabetical order.

        >>> lab.plan.engines
        ('docker-20.10',)
        """
        return tuple(sorted({name for node in self.nodes for name in node.engine.split("+") if name}))

    def node(self, name: str) -> Node:
        """The node of that name; raises KeyError if there is none.

        >>> lab.plan.node("host").engine
        'docker-20.10'
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def graph(self, form: GraphForm = "text") -> str:
        """Draw the topology: machines, bridges, veth pairs, addresses and published ports.

        ``form``: ``text`` (80 columns), ``mermaid``, ``dot`` (Graphviz) or ``svg``, as ``netlab graph``
        prints them; ValueError for any other.

        >>> plan = netlab.load_plan(["scenarios/httpd.yaml"])
        >>> print(plan.graph())
        httpd: docker-20.10, 1 container on 2 networks, 2 ports published
        ...
        >>> plan.graph("mermaid").splitlines()[0]
        'flowchart LR'
        """
        return drawing_of(self, f"graph-{form}")
