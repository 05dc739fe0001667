"""dockerd as a state machine: which event calls which part."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace

from netlab.engine.contract import HostFacts
from netlab.engine.docker import containers, daemon_json, facts, firewalld, networks, options
from netlab.engine.docker.firewaller import Firewaller, write_container
from netlab.engine.docker.host_state import Container, HostState
from netlab.engine.docker.ports import PortAllocator, port_set
from netlab.engine.docker.traits import Traits
from netlab.engine.ipam import DEFAULT_POOLS, Pools
from netlab.engine.nft import FoundNftTable, NftTables
from netlab.engine.refusal import Refused
from netlab.engine.state import State
from netlab.engine.sysctls import Sysctls
from netlab.engine.tables import IptablesError, Tables, reload_ufw, tables_of
from netlab.model.event import (
    Connect,
    ContainerRemove,
    ContainerRestart,
    ContainerStart,
    ContainerStop,
    DaemonConfigure,
    DaemonStart,
    DaemonStop,
    Disconnect,
    Event,
    FirewallFlush,
    FirewallReload,
    HostFound,
    HostReboot,
    NetworkCreate,
    NetworkReload,
    NetworkRemove,
    NetworkSpec,
)
from netlab.model.family import FAMILIES, Family, Network
from netlab.model.identifiers import digest
from netlab.model.rules import ADDED_SINCE, FOUND, NftTable
from netlab.model.scenario import Host, Pool

#: The events that a host allows while its daemon does not run.
_WITHOUT_DAEMON = (DaemonConfigure, DaemonStart, FirewallFlush, FirewallReload, HostFound, HostReboot)

#: What the nftables backend wants to find.
FORWARDING = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv6.conf.default.forwarding")


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """One generation of Docker: its habits and its layout of rules."""

    traits: Traits
    rules: Firewaller
    #: the engine that the other value of ``firewall-backend`` in daemon.json makes of this one
    other: Callable[[], DockerEngine] | None = None

    @property
    def name(self) -> str:
        """``docker-20.10``."""
        return self.traits.name

    def start(self, host: Host) -> State[HostState]:
        """The daemon's first start; raises :class:`Refused`."""
        chosen = self._chosen(host) if not self.traits.nftables else self
        return State(lambda: chosen._first_start(host), chosen._step)

    def step(self, state: State[HostState], event: Event) -> State[HostState]:
        """The state after one more event; raises :class:`Refused`."""
        return state.after(event)

    def describe(self, state: State[HostState]) -> HostFacts:
        """What is on the host in this state."""
        return facts.describe(state.value)

    def _chosen(self, host: Host) -> DockerEngine:
        """The engine that daemon.json asks for by now: this one, or the one with the other backend."""
        backend = host.daemon.get("firewall-backend")
        if self.other is None or backend is None or (backend == "nftables") == self.traits.nftables:
            return self
        return self.other()

    def _first_start(self, host: Host) -> HostState:
        daemon = daemon_json.read(host.daemon, self.traits)
        state = HostState(
            host=host,
            traits=self.traits,
            daemon=daemon,
            sysctls=self._sysctls(host),
            tables=tables_of(host),
            nft=NftTables(),
            pools=Pools(_default_pools(self.traits, daemon.pools, host.name), _foreign(host, self.traits)),
        )
        state.next_index = _first_index(host)
        self._note_ignored(state)
        if self.traits.unmeasured:
            state.note("host", host.name, self.traits.unmeasured)
        state.ports = _port_allocator(state)
        self._start(state)
        state.nft.settle()
        return state

    def _sysctls(self, host: Host) -> Sysctls:
        """What a host has before the daemon starts."""
        return Sysctls(host.sysctls) if self.traits.enables_forwarding else _forwarding(host)

    def _note_ignored(self, state: HostState) -> None:
        for key, text in daemon_json.ignored(state.host.daemon, self.traits.version):
            state.note("daemon", key, text)

    def _start(self, state: HostState, docker0: int | None = None, *, live: bool = False) -> None:
        """What every start of the daemon does; ``docker0``: the ifindex of the bridge that was left.

        ``live``: it finds containers running (live-restore), and leaves the default bridge as it is.
        """
        self.rules.start(state)
        turned_on = networks.forward_ipv4(state)
        self.rules.forward_policy(state, turned_on)
        if len(state.networks) > 1:
            text = (
                "a daemon that starts again restores its networks in the order of their ids, which are "
                "random: the order of their rules may be another one"
            )
            state.note("host", state.host.name, text, by_chance=True)
        for network in sorted(state.networks.values(), key=lambda n: n.spec.id):
            networks.set_up(state, self.rules, network)
        if state.daemon.bridge != "none" and not live:
            spec, mtu = _docker0(state)
            networks.create(state, self.rules, spec, mtu, docker0)
        if not (live and state.traits.user_chain_rearranged):
            self.rules.user_chain(state)

    def _step(self, state: HostState, event: Event) -> None:
        try:
            acting = self if state.traits.nftables == self.traits.nftables or not self.other else self.other()
            acting._act(state, event)
            state.nft.settle()
        except IptablesError as error:
            raise Refused("event", "", str(error)) from None

    def _act(self, state: HostState, event: Event) -> None:
        rules = self.rules
        if not state.running and not isinstance(event, _WITHOUT_DAEMON):
            raise Refused("event", "", "Cannot connect to the Docker daemon. Is the docker daemon running?")
        match event:
            case NetworkCreate(spec):
                networks.create(state, rules, spec)
            case NetworkRemove(name):
                networks.remove(state, rules, name)
            case ContainerStart(spec_):
                containers.run(state, rules, spec_)
            case ContainerStop(node):
                container = _known(state, node)
                self._stop(state, container)
                container.stopped = True
            case ContainerRestart(node, if_stopped):
                container = _known(state, node)
                if not (if_stopped and container.running):
                    self._stop(state, container)
                    containers.start(state, rules, container)
            case ContainerRemove(node):
                self._stop(state, _known(state, node))
                del state.containers[node]
            case Connect(node, request):
                containers.connect(state, rules, _known(state, node), request)
            case Disconnect(node, network):
                containers.disconnect(state, rules, _known(state, node), network)
            case NetworkReload():
                raise Refused("event", "", "only Podman reloads networks; restart the daemon instead")
            case DaemonStop():
                if not state.daemon.live_restore:
                    for container in state.containers.values():
                        self._stop(state, container)
                state.running = False
            case DaemonStart():
                self._restart(state)
            case FirewallFlush():
                for tables in state.tables.values():
                    tables.flush_table("filter")
                    tables.flush_table("nat")
            case FirewallReload():
                firewalld.reload(state, rules)
                reload_ufw(state.host, state.tables)
            case HostFound():
                _take_over(state, event)
            case DaemonConfigure(settings):
                settled = {**state.host.daemon, **dict(settings)}
                daemon = {key: value for key, value in settled.items() if value is not None}
                state.host = replace(state.host, daemon=daemon)
            case HostReboot():
                self._chosen(state.host)._reboot(state)

    def _stop(self, state: HostState, container: Container) -> None:
        if container.running:
            containers.stop(state, self.rules, container)

    def _restart(self, state: HostState) -> None:
        """The daemon starts with what was left; it recreates docker0's network, but not its bridge."""
        if state.running:
            raise Refused("event", "", "the daemon is running already")
        if any(container.running for container in state.containers.values()):
            self._take_up(state)
            return
        chosen = self._chosen(state.host)
        if chosen is not self:
            self._clean(state)
        chosen._read(state)
        docker0 = state.networks.pop(networks.DEFAULT_BRIDGE, None)
        if docker0 is not None:
            chosen.rules.remove_network(state, docker0)
            firewalld.leave(state, docker0)
            for pool in docker0.pools.values():
                state.pools.release(pool.subnet)
        chosen._start(state, docker0.index if docker0 is not None else None)
        if docker0 is not None and networks.DEFAULT_BRIDGE in state.networks:
            state.networks[networks.DEFAULT_BRIDGE].had_ports = docker0.had_ports
        for network in state.networks.values():
            network.taken_up = True
        chosen._start_containers(state)

    def _take_up(self, state: HostState) -> None:
        """The daemon starts beside running containers (live-restore), and writes their rules again."""
        if sum(container.running for container in state.containers.values()) > 1:
            text = "a daemon that comes up beside running containers takes them up in an order left to chance"
            state.note("host", state.host.name, text, by_chance=True)
        chosen, ports = self._chosen(state.host), state.ports
        if chosen is not self:
            self._clean(state)
        chosen._read(state)
        state.ports = ports  # those of the containers that run are taken
        chosen._start(state, live=True)
        for container in state.containers.values():
            if container.running:
                write_container(state, chosen.rules, container)
        chosen._start_containers(state)

    def _clean(self, state: HostState) -> None:
        """Take out what this backend has written, for the other one comes."""
        for container in state.containers.values():
            containers.take_out(state, self.rules, container)
        for network in state.networks.values():
            self.rules.remove_network(state, network)
        self.rules.leave(state)

    def _read(self, state: HostState) -> None:
        """Read daemon.json, and what else a daemon reads once; raises :class:`Refused`."""
        state.traits = self.traits
        state.daemon = daemon_json.read(state.host.daemon, self.traits)
        self._note_ignored(state)
        state.ports = _port_allocator(state)
        state.running = True

    def _start_containers(self, state: HostState) -> None:
        nodes = sorted(state.containers, key=lambda node: (state.containers[node].shares, node))
        for container in map(state.containers.__getitem__, nodes):
            if container.returns and not container.running:
                containers.start(state, self.rules, container)

    def _reboot(self, state: HostState) -> None:
        """The kernel's state is gone; the daemon recreates its networks' bridges."""
        for container in state.containers.values():
            if container.running:
                containers.stop(state, self.rules, container)
        docker0 = state.networks.pop(networks.DEFAULT_BRIDGE, None)
        for pool in docker0.pools.values() if docker0 is not None else ():
            state.pools.release(pool.subnet)
        state.tables, state.nft = tables_of(state.host), NftTables()
        state.ip_sets = {family: {} for family in FAMILIES}
        state.zone.clear()
        firewalld.forget_found(state)
        state.sysctls = self._sysctls(state.host)
        state.next_index = _first_index(state.host)
        for network in sorted(state.networks.values(), key=lambda n: n.spec.id):
            network.index = None if network.mac is None else state.claim_index()
            network.had_ports = network.taken_up = False
        self._read(state)
        self._start(state)
        self._start_containers(state)


def _first_index(host: Host) -> int:
    """The ifindex of the first interface that the daemon makes."""
    return 2 + len(host.interfaces) + len(host.bridges)


def _take_over(state: HostState, found: HostFound) -> None:
    """Go on from what others have made of the host."""
    if found.neighbour is not None:
        state.meet(found.neighbour)
    for ruleset in found.rulesets:
        if isinstance(ruleset, NftTable) and ruleset.name == firewalld.TABLE:
            state.firewalld_found = (ruleset, tuple(state.zone))
            continue
        if isinstance(ruleset, NftTable):
            family = next(family for family in FAMILIES if family.nft == ruleset.family)
            state.nft.found[family] = FoundNftTable.of(ruleset)
            continue
        tables = state.tables[ruleset.family] = Tables(ruleset.family)
        tables.take(ruleset)
        state.zone_found[ruleset.family] = tuple(state.zone)
    for key, value in found.sysctls:
        state.sysctls.write(key, value, FOUND if found.written else ADDED_SINCE)


def _forwarding(host: Host) -> Sysctls:
    """A host whose administrator has enabled forwarding, as the nftables backend requires."""
    sysctls = Sysctls(host.sysctls)
    for key in FORWARDING:
        if key not in host.sysctls:
            sysctls.write(
                key,
                "1",
                "turned on by the administrator, because the nftables backend does not start otherwise",
            )
    return sysctls


def _port_allocator(state: HostState) -> PortAllocator:
    """A new one for each run of the daemon, which reads the kernel's settings once."""
    low, high = (int(part) for part in state.sysctls.get("net.ipv4.ip_local_port_range").split())
    reserved = (
        state.sysctls.get("net.ipv4.ip_local_reserved_ports") if state.traits.spares_reserved_ports else ""
    )
    return PortAllocator((low, high), port_set(reserved))


def _known(state: HostState, node: str) -> Container:
    container = state.containers.get(node)
    if container is None:
        raise Refused("container", node, f"No such container: {node}")
    return container


def _default_pools(
    traits: Traits, configured: tuple[tuple[Network, int], ...], host: str
) -> tuple[tuple[Network, int], ...]:
    pools = configured or tuple((ipaddress.ip_network(base), size) for base, size in DEFAULT_POOLS)
    if traits.ula_pools and not any(base.version == 6 for base, _ in pools):
        prefix = int("fd" + digest("ula", host)[:10], 16) << 80
        pools = (*pools, (ipaddress.IPv6Network((prefix, 48)), 64))
    return pools


def _foreign(host: Host, traits: Traits) -> tuple[Network, ...]:
    """The subnets of the host's own interfaces and routes, which a predefined pool must not overlap.

    Source: moby's libnetwork/netutils, CheckRouteOverlaps (every IPv4 route but the default one; from
    20.10.15 on those without a next hop: moby#42598), InferReservedNetworks.
    """
    addresses = [a for interface in host.interfaces for a in interface.addresses]
    addresses += [a for bridge in host.bridges for a in bridge.addresses]
    addresses += [
        route.destination
        for route in host.routes
        if route.table is None
        and route.destination != "default"
        and ":" not in route.destination
        and (route.via is None or traits.avoids_far_routes)
    ]
    return tuple(ipaddress.ip_interface(address).network for address in addresses)


def _docker0(state: HostState) -> tuple[NetworkSpec, int]:
    """The default bridge as daemon.json describes it (initBridgeDriver)."""
    daemon = state.daemon
    _check_bridge(state)
    opts: dict[str, str] = {
        options.NAME.key: daemon.bridge or "docker0",
        options.DEFAULT_BRIDGE.key: "true",
        options.ICC.key: str(daemon.icc).lower(),
        options.MASQUERADE.key: str(daemon.ip_masq and daemon.iptables).lower(),  # verifyDaemonSettings
    }
    if daemon.ip:
        opts[options.HOST_BINDING.key] = daemon.ip
    families = FAMILIES if daemon.ipv6 else (Family.IPV4,)
    pools = [_docker0_pool(state, family) for family in families]
    spec = NetworkSpec(
        name=networks.DEFAULT_BRIDGE,
        id=digest("network", networks.DEFAULT_BRIDGE, state.host.name),
        driver_opts=opts,
        pools=tuple(pool for pool in pools if pool is not None),
        enable_ipv6=daemon.ipv6,
        label=daemon.bridge or "docker0",
    )
    return spec, daemon.mtu


def _check_bridge(state: HostState) -> None:
    """A default bridge of another name must be there already (setupDevice)."""
    name = state.daemon.bridge
    there = {bridge.name for bridge in state.host.bridges}
    if name and name != "docker0" and name not in there and networks.DEFAULT_BRIDGE not in state.networks:
        raise Refused(
            "daemon",
            "bridge",
            'Error initializing network controller: error creating default "bridge" network: '
            f"bridge device with non default name {name} must be created manually "
            f"(x-netlab declares a bridge of other software under host: bridges: {{{name}: {{}}}})",
        )


def _docker0_pool(state: HostState, family: Family) -> Pool | None:
    """The subnet of docker0 as ``bip``, ``fixed-cidr`` and ``default-gateway`` say, if they say anything."""
    request = state.daemon.docker0[family]
    aux = {networks.GATEWAY_KEYS[family]: request.default_gateway} if request.default_gateway else {}
    bip = request.bip or _tenant_address(state, family)
    if bip:
        interface = ipaddress.ip_interface(bip)
        return Pool(str(interface.network), request.fixed_cidr or None, str(interface.ip), aux)
    if request.fixed_cidr:
        within = ipaddress.ip_network(request.fixed_cidr, strict=False)
        usual = family is Family.IPV4 and not state.traits.fixed_cidr_is_subnet
        elected = state.pools.peek(family) if usual else None
        outer = elected if elected is not None and networks.contains(elected, within) else within
        return Pool(str(outer), str(within), None, aux)
    return Pool(aux_addresses=aux) if aux else None


def _tenant_address(state: HostState, family: Family) -> str:
    """The IPv4 address of an administrator's bridge, which ``bridge`` names."""
    for tenant in state.host.bridges:
        if tenant.name == state.daemon.bridge and family is Family.IPV4:
            return next((a for a in tenant.addresses if Family.of(a) is family), "")
    return ""
