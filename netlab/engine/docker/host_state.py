"""The state of a host: the engine's working copy, which events change in place.

Nothing here decides anything; the engines do.  :class:`netlab.engine.state.State` guards it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from netlab.engine.contract import EngineNote
from netlab.engine.docker.daemon_json import Daemon
from netlab.engine.docker.ports import PortAllocator
from netlab.engine.docker.traits import Traits
from netlab.engine.ipam import AddressPool, Pools
from netlab.engine.nft import NftTables
from netlab.engine.refusal import Subject
from netlab.engine.sysctls import Sysctls
from netlab.engine.tables import Tables
from netlab.model.event import ContainerSpec, EndpointSpec, Neighbour, NetworkSpec
from netlab.model.family import FAMILIES, Address, Family, Network
from netlab.model.rules import NftTable
from netlab.model.scenario import Host, PortMapping, Protocol


@dataclass(frozen=True, slots=True)
class Binding:
    """One host endpoint that leads to one container endpoint, as Docker made it of a mapping."""

    node: str
    network: str
    protocol: Protocol
    host_address: str
    host_port: int
    address: str  #: the container's
    port: int

    @property
    def family(self) -> Family:
        """The family of the host's side."""
        return Family.of(self.host_address)

    @property
    def translated(self) -> bool:
        """Whether NAT works for it: both sides have the same family (otherwise, only the proxy works)."""
        return Family.of(self.address) is self.family


@dataclass(frozen=True, slots=True)
class Link:
    """A legacy link on the default bridge: one container may reach a port of another, though icc is off."""

    network: str
    node: str
    target: str  #: the node that is linked to
    address: str
    target_address: str
    port: int
    protocol: Protocol


@dataclass(slots=True)
class Endpoint:
    """A container on a network."""

    spec: EndpointSpec
    node: str
    mac: str
    addresses: dict[Family, Address]
    veth: str
    index: int  #: ifindex of the container's end
    host_index: int  #: ifindex of the host's end
    #: what was asked for: its interface's name, its priority as a gateway, sysctls (IFNAME: the interface)
    wanted_name: str = ""
    gw_priority: int = 0
    sysctls: tuple[tuple[str, str], ...] = ()
    ifname: str = ""
    #: whether the container's /etc/hosts still names this address: a disconnect takes every line out
    in_hosts: bool = True


@dataclass(slots=True)
class LiveNetwork:
    """A bridge network."""

    spec: NetworkSpec
    bridge: str
    mac: str | None  #: None: the bridge existed before, and is not Docker's
    index: int | None
    pools: dict[Family, AddressPool]
    icc: bool = True
    masquerade: bool = True
    host_ip: str = ""  #: the address that ports are published on when none is given
    mtu: int = 1500
    prefix: str = "eth"  #: of the interface names in containers
    inhibit_ipv4: bool = False
    default_bridge: bool = False
    modes: dict[Family, str] = field(default_factory=lambda: dict.fromkeys(FAMILIES, "nat"))
    snat: dict[Family, str] = field(default_factory=dict)  #: fixed source addresses (host_ipv4)
    trusted: tuple[str, ...] = ()  #: host interfaces that may reach containers directly
    next_hops: dict[Family, str] = field(default_factory=dict)  #: default gateways other than the bridge
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    #: whether the bridge was ever up: it then keeps the link-local address that the kernel gave it
    had_ports: bool = False
    #: whether the daemon has taken the bridge up again, as a former life of its left it
    taken_up: bool = False

    @property
    def name(self) -> str:
        """The docker name."""
        return self.spec.name

    @property
    def title(self) -> str:
        """What people call it: the Compose key, or the docker name."""
        return self.spec.label or self.spec.name

    @property
    def internal(self) -> bool:
        """Whether the network has no way out."""
        return self.spec.internal

    @property
    def families(self) -> tuple[Family, ...]:
        """The families that the network has a subnet of."""
        return tuple(family for family in FAMILIES if family in self.pools)

    def subnet(self, family: Family) -> Network:
        """The subnet; raises KeyError if the network has none of that family."""
        return self.pools[family].subnet

    def gateway(self, family: Family) -> Address | None:
        """The bridge's own address."""
        pool = self.pools.get(family)
        return pool.gateway if pool else None

    def isolated(self, family: Family) -> bool:
        """Whether the bridge has no address, so that not even the host is on the network."""
        return self.internal and self.modes[family] == "isolated"

    def source_nat(self, family: Family) -> str:
        """The target of what leaves the network: MASQUERADE, or SNAT to the address of ``host_ipv4``."""
        address = self.snat.get(family)
        return f"SNAT --to-source {address}" if address else "MASQUERADE"

    def masquerades(self, family: Family) -> bool:
        """Whether what leaves the network is masqueraded."""
        return self.masquerade and self.modes[family].startswith("nat")


@dataclass(slots=True)
class Container:
    """A container that the engine knows of, running or not."""

    spec: ContainerSpec
    running: bool = False
    #: by hand, not with the daemon: ``restart: unless-stopped`` heeds it
    stopped: bool = False
    starts: int = 0
    #: the requests, in order of attachment; a later ``connect`` adds one
    requests: list[EndpointSpec] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)
    #: what runs first at the start of a container: the order of interfaces, the gateway, the ports
    bindings: list[Binding] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    mappings: tuple[PortMapping, ...] = ()
    gateways: dict[Family, Endpoint] = field(default_factory=dict)
    #: whether Docker's own DNS server was started, which fixes resolv.conf until the next start
    resolver: bool = False
    #: whether the network that resolv.conf was last written for has IPv6
    resolves_ipv6: bool = False
    #: the docker names of the networks that its ports are published on, each with the host's families
    published: dict[str, tuple[Family, ...]] = field(default_factory=dict)
    next_name: dict[str, int] = field(default_factory=dict)
    next_index: int = 2

    @property
    def ipv6_off(self) -> bool:
        """Whether the service's own sysctls switch IPv6 off."""
        return self.spec.sysctls.get("net.ipv6.conf.all.disable_ipv6") == "1"

    @property
    def shares(self) -> bool:
        """Whether it joins another container's network namespace, and so starts after that one."""
        return self.spec.network_mode.startswith("container:")

    @property
    def returns(self) -> bool:
        """Whether it comes up again with the daemon (container.RestartManager; on-failure never does)."""
        policy = self.spec.restart
        return policy == "always" or (policy == "unless-stopped" and not self.stopped)


#: In the daemon's environment: the kernel has no raw table of iptables'.
NO_RAW = "DOCKER_INSECURE_NO_IPTABLES_RAW"


@dataclass(slots=True)
class HostState:
    """Everything on one host."""

    host: Host
    traits: Traits
    daemon: Daemon
    sysctls: Sysctls
    tables: dict[Family, Tables]
    nft: NftTables
    pools: Pools
    ports: PortAllocator = field(default_factory=PortAllocator)
    networks: dict[str, LiveNetwork] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    #: bridges in firewalld's zone ``docker``, in the order in which they were put there
    zone: list[str] = field(default_factory=list)
    #: where others have changed firewalld's rules: see FirewalldZone
    zone_found: dict[Family, tuple[str, ...]] = field(default_factory=dict)
    firewalld_found: tuple[NftTable, tuple[str, ...]] | None = None
    running: bool = True  #: whether the daemon is
    #: ipsets by name, of each family: the subnets in them, in order (28.0.0)
    ip_sets: dict[Family, dict[str, dict[str, None]]] = field(
        default_factory=lambda: {f: {} for f in FAMILIES}
    )
    #: what was read and ignored, and what a real daemon leaves to chance, in order and once each
    notes: dict[EngineNote, None] = field(default_factory=dict)
    next_index: int = 2
    #: another engine on the same host
    neighbour: Neighbour = field(default_factory=Neighbour)
    #: what the daemon could not end, in order
    failures: list[str] = field(default_factory=list)

    @property
    def wsl2_mirrored(self) -> bool:
        """Whether the daemon sees WSL2's mirrored networking (isRunningUnderWSL2MirroredMode), and acts."""
        return self.host.wsl2_mirrored and self.traits.minds_wsl2_mirrored

    @property
    def raw_rules(self) -> bool:
        """Whether rules are written to iptables' raw table (DOCKER_INSECURE_NO_IPTABLES_RAW)."""
        asked = self.host.environment.get(NO_RAW) == "1"
        return not (asked and self.traits.reads_no_iptables_raw)

    def note(self, subject: Subject, name: str, text: str, by_chance: bool = False) -> None:
        """Remember what the user should know; ``by_chance``: where a real daemon is not determined."""
        self.notes[EngineNote(subject, name, text, by_chance)] = None

    def meet(self, neighbour: Neighbour) -> None:
        """Another engine has acted on the host."""
        known = {ipaddress.ip_network(subnet) for subnet in self.neighbour.subnets}
        own = tuple(subnet for subnet in self.pools.foreign if subnet not in known)
        self.pools.foreign = (*own, *map(ipaddress.ip_network, neighbour.subnets))
        self.next_index = max(self.next_index, neighbour.next_index)
        self.neighbour = neighbour

    def claim_index(self) -> int:
        """The next ifindex of the host's namespace; the kernel never gives one twice."""
        index = self.next_index
        self.next_index += 1
        return index

    def families(self) -> tuple[Family, ...]:
        """The families that the daemon writes iptables rules of."""
        if self.daemon.nftables:
            return ()
        switches = {Family.IPV4: self.daemon.iptables, Family.IPV6: self.daemon.ip6tables}
        return tuple(family for family in FAMILIES if switches[family])
