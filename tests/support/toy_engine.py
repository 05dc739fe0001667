"""The example of docs/engines.md, as it is printed there: an engine that is not Docker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_network

from netlab.engine.contract import ContainerState, HostFacts, NetworkState, Refused
from netlab.engine.ipam import AddressPool
from netlab.engine.sysctls import Sysctls
from netlab.engine.tables import tables_of
from netlab.model.event import ContainerSpec, ContainerStart, Event, NetworkCreate, NetworkSpec
from netlab.model.family import Family
from netlab.model.identifiers import mac
from netlab.model.plan import Interface, NetworkFacts, Publication, Route
from netlab.model.scenario import Host


@dataclass(frozen=True)
class ToyState:
    """What was created on a host, in order."""

    host: Host
    networks: tuple[NetworkSpec, ...] = ()
    containers: tuple[ContainerSpec, ...] = ()


class ToyEngine:
    """A bridge for each network, and DNAT for published ports. Nothing stops, nothing is removed."""

    name = "toy"

    def start(self, host: Host) -> ToyState:
        return ToyState(host)

    def step(self, state: ToyState, event: Event) -> ToyState:
        match event:
            case NetworkCreate(network):
                return replace(state, networks=(*state.networks, network))
            case ContainerStart(container):
                return replace(state, containers=(*state.containers, container))
        raise Refused("event", "", f"toy does not know {type(event).__name__}")

    def describe(self, state: ToyState) -> HostFacts:
        host, nat, sysctls = state.host.name, tables_of(state.host)[Family.IPV4], Sysctls(state.host.sysctls)
        sysctls.write("net.ipv4.ip_forward", "1", "toy forwards packets")
        networks, containers, links, ports = [], [], [], []
        for number, network in enumerate(state.networks):
            bridge, pool, members = f"toy{number}", AddressPool(ip_network(network.pools[0].subnet)), []
            gateway, length = str(pool.next()), pool.subnet.prefixlen
            links.append(Interface(bridge, "bridge", mac(bridge), addresses=(f"{gateway}/{length}",)))
            leaving = f"-s {pool.subnet} ! -o {bridge} -j MASQUERADE"
            nat.append("nat", "POSTROUTING", leaving, f"what leaves {network.label} takes the host's address")
            for one in state.containers:
                if one.network_mode != network.name:
                    continue
                address, port = str(pool.next()), f"{bridge}p{len(members)}"
                inside = (f"{address}/{length}",)
                eth0 = Interface("eth0", "veth", mac(one.node), peer=(host, port), addresses=inside)
                route = Route("default", via=gateway)
                links.append(Interface(port, "veth", mac(port), peer=(one.node, "eth0"), master=bridge))
                members.append((one.node, "eth0", inside))
                containers.append(ContainerState(spec=one, interfaces=(eth0,), routes=(route,)))
                for wish in one.ports:
                    outer, to = (wish.host_ports or (0,))[0], f"{address}:{wish.container_port}"
                    asked = f"-p {wish.protocol} -m {wish.protocol} --dport {outer}"
                    rule = f"{asked} -m addrtype --dst-type LOCAL -j DNAT --to-destination {to}"
                    nat.append("nat", "PREROUTING", rule, f"{one.node} publishes {wish.container_port}")
                    published = (wish.protocol, one.node, wish.container_port, network.name)
                    ports.append(Publication(host, "", outer, *published))
            subnets, gateways = (str(pool.subnet),), (gateway,)
            facts = NetworkFacts(
                network.name, network.label, host, bridge, subnets, gateways, False, tuple(members)
            )
            networks.append(NetworkState(network, facts))
        return HostFacts(
            engine=self.name,
            networks=tuple(networks),
            containers=tuple(containers),
            interfaces=tuple(links),
            sysctls=sysctls.all(),
            rulesets=(nat.freeze(),),
            publications=tuple(ports),
        )


TOY = ToyEngine()
