"""The example of docs/engines.md, as it is printed there: an engine that is not Docker."""

from __future__ import annotations

from netlab.engine.bridges import BridgeHost
from netlab.engine.contract import HostFacts, Refused
from netlab.engine.sysctls import Sysctls
from netlab.engine.tables import tables_of
from netlab.model.event import ContainerStart, Event, NetworkCreate
from netlab.model.family import Family
from netlab.model.scenario import Host


class ToyEngine:
    """A bridge for each network, and DNAT for published ports. Nothing stops, nothing is removed."""

    name = "toy"

    def start(self, host: Host) -> BridgeHost:
        return BridgeHost(host)

    def step(self, state: BridgeHost, event: Event) -> BridgeHost:
        match event:
            case NetworkCreate(spec):
                return state.with_network(spec, bridge=f"toy{len(state.networks)}", subnet="10.99.0.0/16")
            case ContainerStart(spec):
                return state.with_container(spec, port="toyport")
        raise Refused("event", "", f"toy does not know {type(event).__name__}")

    def describe(self, state: BridgeHost) -> HostFacts:
        nat, sysctls = tables_of(state.host)[Family.IPV4], Sysctls(state.host.sysctls)
        sysctls.write("net.ipv4.ip_forward", "1", "toy forwards packets")
        for n in state.networks:
            rule = f"-s {n.subnets[0]} ! -o {n.bridge} -j MASQUERADE"
            nat.append("nat", "POSTROUTING", rule, f"{n.spec.label} goes out with the host's address")
        for p, address in state.published(Family.IPV4):
            match_ = f"-p {p.protocol} -m {p.protocol} --dport {p.host_port} -m addrtype --dst-type LOCAL"
            rule = f"{match_} -j DNAT --to-destination {address}:{p.container_port}"
            nat.append("nat", "PREROUTING", rule, f"{p.node} publishes {p.container_port}")
        return state.facts(self.name, sysctls=sysctls.all(), rulesets=(nat.freeze(),))


TOY = ToyEngine()
