"""The state of a host: the engine's working copy, which events change in place.

Nothing here decides anything; the engine does. :class:`netlab.engine.state.State` guards it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from netlab.engine.contract import EngineNote
from netlab.engine.ipam import Pools
from netlab.engine.podman.ipam import Leases
from netlab.engine.podman.netavark_table import NetavarkTable
from netlab.engine.podman.options import BridgeOptions
from netlab.engine.podman.traits import Traits
from netlab.engine.refusal import Subject
from netlab.engine.sysctls import Sysctls
from netlab.engine.tables import Tables
from netlab.model.event import ContainerSpec, EndpointSpec, Neighbour, NetworkSpec
from netlab.model.family import FAMILIES, Address, Family, Network
from netlab.model.scenario import Host, Protocol


@dataclass(frozen=True, slots=True)
class Published:
    """Host ports in a row that lead to as many container ports in a row (a port mapping of netavark).

    ``host_ip`` is empty for no address, which 0.0.0.0 also counts as; ``::`` is every address of IPv6.
    """

    host_ip: str
    protocol: Protocol
    host_port: int
    container_port: int
    count: int = 1

    @property
    def title(self) -> str:
        """``port 80``, ``ports 8000-8004``: those of the container."""
        first, last = self.container_port, self.container_port + self.count - 1
        return f"port {first}" if self.count == 1 else f"ports {first}-{last}"

    def address(self, family: Family) -> str | None:
        """The address of the host that its rules match; empty for any, None: no rules for this family."""
        if not self.host_ip or self.host_ip == family.any:
            return ""
        wildcard = self.host_ip == Family.of(self.host_ip).any
        return None if wildcard or Family.of(self.host_ip) is not family else self.host_ip


@dataclass(slots=True)
class Endpoint:
    """A running container on a network."""

    spec: EndpointSpec
    node: str
    mac: str
    addresses: dict[Family, Address]
    ifname: str
    veth: str
    index: int  #: ifindex of the container's end
    host_index: int  #: ifindex of the host's end


@dataclass(slots=True)
class LiveNetwork:
    """A network, whether or not it has a bridge at the moment: that is so while a container is on it."""

    spec: NetworkSpec
    bridge: str
    leases: dict[Family, Leases]
    options: BridgeOptions = field(default_factory=BridgeOptions)
    dns: bool = True
    default: bool = False  #: the network ``podman``, which is always there
    #: of the bridge that there is
    index: int | None = None
    mac: str = ""
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What ``podman network ls`` shows."""
        return self.spec.name

    @property
    def title(self) -> str:
        """What people call it: the Compose key, or its name."""
        return self.spec.label or self.spec.name

    @property
    def internal(self) -> bool:
        """Whether the network has no way out, and no rules."""
        return self.spec.internal

    @property
    def families(self) -> tuple[Family, ...]:
        """The families that the network has a subnet of."""
        return tuple(family for family in FAMILIES if family in self.leases)

    def subnet(self, family: Family) -> Network:
        """The subnet; raises KeyError if the network has none of that family."""
        return self.leases[family].subnet

    def gateway(self, family: Family) -> Address:
        """The bridge's own address; raises KeyError likewise."""
        return self.leases[family].gateway


@dataclass(slots=True)
class Container:
    """A container that Podman knows of, running or not."""

    spec: ContainerSpec
    running: bool = False
    starts: int = 0
    #: the networks that it wants to be on, in the order in which they were named
    wishes: list[EndpointSpec] = field(default_factory=list)
    #: those that it is on, in the order in which netavark set them up
    endpoints: list[Endpoint] = field(default_factory=list)
    published: tuple[Published, ...] = ()
    next_index: int = 2
    #: its addresses when it ran last, which /etc/hosts keeps
    last_addresses: tuple[str, ...] = ()
    #: the host, as /etc/hosts has it since the last start
    host_address: str = ""

    @property
    def hostname(self) -> str:
        """Its host name: the short id if none is given."""
        return self.spec.hostname or self.spec.id[:12]

    @property
    def shares(self) -> str:
        """The node whose network namespace it joins; empty if it has its own, or the host's."""
        kind, _, target = self.spec.network_mode.partition(":")
        return target if kind == "container" else ""

    @property
    def named(self) -> list[Endpoint]:
        """The endpoints in the order of their interfaces' names."""
        return sorted(self.endpoints, key=lambda e: (len(e.ifname), e.ifname))


@dataclass(slots=True)
class HostState:
    """Everything on one host."""

    host: Host
    traits: Traits
    sysctls: Sysctls
    tables: dict[Family, Tables]
    pools: Pools
    table: NetavarkTable | None = None  #: the table ``inet netavark``, once there is one
    networks: dict[str, LiveNetwork] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    #: what was read and ignored, and what Podman leaves to chance, in order and once each
    notes: dict[EngineNote, None] = field(default_factory=dict)
    next_index: int = 2
    dns_port: int = 53  #: aardvark-dns's, at every gateway
    #: what is left of the host's choice for what is yet to be decided, and how many ways there were
    choice_left: int = 0
    choices: int = 1
    #: another engine on the same host
    neighbour: Neighbour = field(default_factory=Neighbour)

    def note(self, subject: Subject, name: str, text: str, by_chance: bool = False) -> None:
        """Remember what the user should know; ``by_chance``: what Podman does differently each time."""
        self.notes[EngineNote(subject, name, text, by_chance)] = None

    def choose(self, ways: int) -> int:
        """Which of so many ways something takes that Podman leaves to chance; 0 is the order of the file."""
        self.choices *= ways
        self.choice_left, chosen = divmod(self.choice_left, ways)
        return chosen

    def meet(self, neighbour: Neighbour) -> None:
        """Another engine has acted on the host."""
        known = {ipaddress.ip_network(subnet) for subnet in self.neighbour.subnets}
        own = tuple(subnet for subnet in self.pools.foreign if subnet not in known)
        self.pools.foreign = (*own, *map(ipaddress.ip_network, neighbour.subnets))
        self.next_index = max(self.next_index, neighbour.next_index)
        self.neighbour = neighbour

    def on_link(self, address: str) -> str:
        """The host's interface with a subnet that has an address; empty if none has."""
        for one in self.host.interfaces:
            if any(ipaddress.ip_address(address) in ipaddress.ip_interface(a).network for a in one.addresses):
                return one.name
        return ""

    def claim_index(self) -> int:
        """The next ifindex of the host's namespace; the kernel never gives one twice."""
        index = self.next_index
        self.next_index += 1
        return index

    def network_of(self, endpoint: Endpoint) -> LiveNetwork:
        """The network that an endpoint is on."""
        return self.networks[endpoint.spec.network]
