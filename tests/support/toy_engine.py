"""The example of docs/engines.md, as it is printed there: an engine that is not Docker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from netlab.engine.contract import ContainerState, HostFacts, NetworkState, Refused
from netlab.engine.sysctls import Sysctls
from netlab.engine.tables import tables_of
from netlab.model.event import ContainerSpec, ContainerStart, Event, NetworkCreate, NetworkSpec
from netlab.model.family import Family
from netlab.model.identifiers import mac
from netlab.model.plan import Interface, NetworkFacts, Publication, Route
from netlab.model.scenario import Host


@dataclass(frozen=True)
class Network:
    """A network: its bridge, which has the first address of the subnet."""

    spec: NetworkSpec
    bridge: str
    subnet: IPv4Network


@dataclass(frozen=True)
class Container:
    """A container on one network: its address, and the host's end of its link."""

    spec: ContainerSpec
    network: Network
    address: str
    port: str


@dataclass(frozen=True)
class ToyState:
    """What was made on a host, in order."""

    host: Host
    networks: tuple[Network, ...] = ()
    containers: tuple[Container, ...] = ()


class ToyEngine:
    """A bridge for each network, and DNAT for published ports. Nothing stops, nothing is removed."""

    name = "toy"

    def start(self, host: Host) -> ToyState:
        return ToyState(host)

    def step(self, state: ToyState, event: Event) -> ToyState:
        match event:
            case NetworkCreate(spec):
                subnet = IPv4Network(spec.pools[0].subnet or "10.99.0.0/16")
                network = Network(spec, f"toy{len(state.networks)}", subnet)
                return replace(state, networks=(*state.networks, network))
            case ContainerStart(wish):
                network = next(n for n in state.networks if n.spec.name == wish.network_mode)
                number = len(state.containers)
                container = Container(wish, network, str(network.subnet[number + 2]), f"toyport{number}")
                return replace(state, containers=(*state.containers, container))
        raise Refused("event", "", f"toy does not know {type(event).__name__}")

    def describe(self, state: ToyState) -> HostFacts:
        host, nat, sysctls = state.host, tables_of(state.host)[Family.IPV4], Sysctls(state.host.sysctls)
        sysctls.write("net.ipv4.ip_forward", "1", "toy forwards packets")
        for n in state.networks:
            rule = f"-s {n.subnet} ! -o {n.bridge} -j MASQUERADE"
            nat.append("nat", "POSTROUTING", rule, f"{n.spec.label} goes out with the host's address")
        publications = []
        for c in state.containers:
            for wish in c.spec.ports:
                port, _ = wish.host_ports or (wish.container_port, 0)
                match_ = f"-p {wish.protocol} -m {wish.protocol} --dport {port} -m addrtype --dst-type LOCAL"
                rule = f"{match_} -j DNAT --to-destination {c.address}:{wish.container_port}"
                nat.append("nat", "PREROUTING", rule, f"{c.spec.node} publishes {wish.container_port}")
                to = (c.spec.node, wish.container_port, c.network.spec.name)
                publications.append(Publication(host.name, "", port, wish.protocol, *to))
        return HostFacts(
            engine=self.name,
            networks=tuple(NetworkState(n.spec, facts(state, n)) for n in state.networks),
            containers=tuple(
                ContainerState(
                    spec=c.spec,
                    interfaces=(eth0(state, c),),
                    routes=(Route("default", via=str(c.network.subnet[1])),),
                )
                for c in state.containers
            ),
            interfaces=(*map(bridge, state.networks), *map(bridge_port, state.containers)),
            sysctls=sysctls.all(),
            rulesets=(nat.freeze(),),
            publications=tuple(publications),
        )


def bridge(n: Network) -> Interface:
    return Interface(n.bridge, "bridge", mac(n.bridge), addresses=(f"{n.subnet[1]}/{n.subnet.prefixlen}",))


def bridge_port(c: Container) -> Interface:
    peer = (c.spec.node, "eth0")
    return Interface(c.port, "veth", mac(c.port), peer=peer, master=c.network.bridge)


def eth0(state: ToyState, c: Container) -> Interface:
    address = f"{c.address}/{c.network.subnet.prefixlen}"
    return Interface("eth0", "veth", mac(c.spec.node), peer=(state.host.name, c.port), addresses=(address,))


def facts(state: ToyState, n: Network) -> NetworkFacts:
    there = [c for c in state.containers if c.network == n]
    return NetworkFacts(
        name=n.spec.name,
        key=n.spec.label,
        host=state.host.name,
        bridge=n.bridge,
        subnets=(str(n.subnet),),
        gateways=(str(n.subnet[1]),),
        internal=False,
        members=tuple((c.spec.node, "eth0", eth0(state, c).addresses) for c in there),
    )


TOY = ToyEngine()
