"""The events of a plan, sent to a real daemon through its API: names and order are the plan's."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, assert_never
from urllib.parse import quote

from netlab.bench.real.daemon import IMAGE, Daemon
from netlab.model.event import (
    Connect,
    ContainerRemove,
    ContainerRestart,
    ContainerSpec,
    ContainerStart,
    ContainerStop,
    DaemonConfigure,
    DaemonStart,
    DaemonStop,
    Disconnect,
    EndpointSpec,
    Event,
    FirewallFlush,
    FirewallReload,
    HostFound,
    HostReboot,
    NetworkCreate,
    NetworkRemove,
    NetworkSpec,
)
from netlab.model.family import FAMILIES
from netlab.model.scenario import Pool, PortMapping

#: One in eight random ids is near enough.
ID_TRIES = 200
FOREVER = ["/busybox", "sleep", "1000000"]


class Replay:
    """Feeds events to one daemon, and remembers which container is which node."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        #: node -> container name, in order of creation
        self.containers: dict[str, str] = {}
        #: whether the daemon starts again later
        self.restarts = False
        #: ids of networks, the daemon's and the plan's
        self.networks: list[tuple[str, str]] = []
        #: every network that was created, by name
        self.specs: dict[str, NetworkSpec] = {}
        #: the daemon's random words -> the plan's: bridges that carry a network's id, containers' short ids
        self.names: dict[str, str] = {}

    def play(self, events: Iterable[Event]) -> None:
        """All of them, in order."""
        events = tuple(events)
        self.restarts = any(isinstance(event, DaemonStart) for event in events)
        for event in events:
            self.step(event)

    def step(self, event: Event) -> None:
        """One event; the engine's refusal is an ApiError."""
        api = self.daemon.api
        match event:
            case NetworkCreate(network):
                self._create(network)
            case NetworkRemove(name):
                api.delete(f"/networks/{quote(name)}")
            case ContainerStart(container):
                self._run(container)
            case ContainerStop(node):
                api.post(f"/containers/{self.containers[node]}/stop", t=0)
            case ContainerRestart(node):
                api.post(f"/containers/{self.containers[node]}/restart", t=0)
            case ContainerRemove(node):
                api.delete(f"/containers/{self.containers.pop(node)}", force="true")
            case Connect(node, endpoint):
                self._connect(self.containers[node], endpoint)
            case Disconnect(node, network):
                api.post(
                    f"/networks/{quote(network)}/disconnect",
                    {"Container": self.containers[node], "Force": False},
                )
            case DaemonStop():
                self.daemon.stop()
            case DaemonStart():
                self.daemon.start()
            case FirewallFlush():
                for family in FAMILIES:
                    for table in ("filter", "nat"):
                        self.daemon.testbed.run([family.iptables, "-t", table, "-F"])
            case DaemonConfigure(settings):
                self.daemon.configure(dict(settings))
            case FirewallReload() | HostReboot() | HostFound():
                raise ValueError(f"no recording of a real daemon has this event: {event}")
            case _:
                assert_never(event)

    def _create(self, spec: NetworkSpec) -> None:
        """``docker network create``, if need be until the random id stands about where the plan's does.

        A daemon that starts again takes its networks up in the order of their ids.
        """
        self.specs[spec.name] = spec
        self.networks = [pair for pair in self.networks if pair[1] != spec.id]  # one that was removed since
        for _ in range(ID_TRIES):
            made = self.daemon.api.post("/networks/create", network_body(spec))["Id"]
            if not self.restarts or self._in_place(made, spec.id):
                self.networks.append((made, spec.id))
                self.names["br-" + made[:12]] = "br-" + spec.id[:12]
                return
            self.daemon.api.delete(f"/networks/{made}")
        raise RuntimeError(f"{ID_TRIES} random ids, and none in its place")

    def _in_place(self, made: str, wanted: str) -> bool:
        """Ordered among the other networks as in the plan, and near enough to leave room for the next."""
        near = abs(int(made, 16) - int(wanted, 16)) < 1 << 252
        return near and all((made < real) == (wanted < plans) for real, plans in self.networks)

    def _run(self, spec: ContainerSpec) -> None:
        """``docker run``, then ``docker network connect`` for each further network.

        Compose connects before the start. The daemon then joins the networks in the order of a Go map, which
        is random, so that eth0 and eth1 would be a matter of luck. Joined one by one they come in the plan's.
        """
        spec = replace(spec, endpoints=tuple(sorted(spec.endpoints, key=self._rank)))
        api = self.daemon.api
        self.containers[spec.node] = spec.name
        made = api.post("/containers/create", container_body(spec, self.containers), name=spec.name)
        self.names[made["Id"][:12]] = spec.id[:12]
        api.post(f"/containers/{spec.name}/start")
        for endpoint in spec.endpoints[1:]:
            self._connect(spec.name, endpoint)

    @functools.cached_property
    def knows_priorities(self) -> bool:
        """Whether the daemon reads an endpoint's gateway priority."""
        return int(self.daemon.version().split(".")[0]) >= 28

    def _rank(self, wish: EndpointSpec) -> tuple[bool, int, bool, str]:
        """libnetwork's order of endpoints (Endpoint.Less), in which netlab joins them."""
        spec = self.specs.get(wish.network)
        internal, ipv6 = (spec.internal, spec.enable_ipv6) if spec else (False, None)
        priority = wish.gw_priority if self.knows_priorities else 0
        return internal, -priority, not ipv6, wish.network

    def _connect(self, container: str, endpoint: EndpointSpec) -> None:
        self.daemon.api.post(
            f"/networks/{quote(endpoint.network)}/connect",
            {"Container": container, "EndpointConfig": endpoint_body(endpoint)},
        )


def network_body(spec: NetworkSpec) -> dict[str, Any]:
    """``docker network create`` as the API takes it."""
    body: dict[str, Any] = {
        "Name": spec.name,
        "CheckDuplicate": True,
        "Driver": spec.driver,
        "Internal": spec.internal,
        "Options": dict(spec.driver_opts),
        "IPAM": {"Driver": "default", "Config": [pool_body(p) for p in spec.pools]},
    }
    if spec.enable_ipv4 is not None:
        body["EnableIPv4"] = spec.enable_ipv4
    if spec.enable_ipv6 is not None:  # else an option of the driver, or the daemon's default, may say it
        body["EnableIPv6"] = spec.enable_ipv6
    return body


def pool_body(pool: Pool) -> dict[str, Any]:
    """One IPAM pool, without what was not given."""
    body = {
        "Subnet": pool.subnet,
        "IPRange": pool.ip_range,
        "Gateway": pool.gateway,
        "AuxiliaryAddresses": dict(pool.aux_addresses) or None,
    }
    return {key: value for key, value in body.items() if value is not None}


def endpoint_body(endpoint: EndpointSpec) -> dict[str, Any]:
    """An EndpointSettings."""
    ipam = {
        "IPv4Address": endpoint.ipv4_address,
        "IPv6Address": endpoint.ipv6_address,
        "LinkLocalIPs": list(endpoint.link_local_ips) or None,
    }
    body: dict[str, Any] = {
        "Aliases": list(endpoint.aliases),
        "IPAMConfig": {key: value for key, value in ipam.items() if value is not None},
    }
    if endpoint.mac_address:
        body["MacAddress"] = endpoint.mac_address
    if endpoint.gw_priority:
        body["GwPriority"] = endpoint.gw_priority
    options = dict(endpoint.driver_opts)
    if endpoint.interface_name:
        options["com.docker.network.endpoint.ifname"] = endpoint.interface_name
    if options:
        body["DriverOpts"] = options
    return body


def bindings(ports: Iterable[PortMapping]) -> dict[str, list[dict[str, str]]]:
    """HostConfig.PortBindings."""
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        low, high = port.host_ports or (0, 0)
        text = "" if port.host_ports is None else str(low) if low == high else f"{low}-{high}"
        found.setdefault(f"{port.container_port}/{port.protocol}", []).append(
            {"HostIp": port.host_ip, "HostPort": text}
        )
    return found


def container_body(spec: ContainerSpec, names: dict[str, str]) -> dict[str, Any]:
    """``docker run`` as the API takes it; ``names`` leads from nodes to containers."""
    mode = spec.network_mode
    if mode.startswith("container:"):
        node = mode.partition(":")[2]
        mode = f"container:{names.get(node, node)}"
    shares = mode.startswith("container:")
    exposed: dict[str, dict[str, str]] = {f"{p.container_port}/{p.protocol}": {} for p in spec.ports}
    exposed |= {f"{e.port}/{e.protocol}": {} for e in spec.expose}
    exposed = dict(
        sorted(exposed.items())
    )  # as Go's clients spell a map, which fills the daemon's in that order
    host_config: dict[str, Any] = {
        "NetworkMode": mode,
        "PortBindings": bindings(spec.ports),
        "ExtraHosts": [f"{name}:{address}" for name, address in spec.extra_hosts],
        "Links": [f"{names.get(node, node)}:{alias}" for node, alias in spec.links],
        "Dns": list(spec.dns),
        "DnsSearch": list(spec.dns_search),
        "DnsOptions": list(spec.dns_opt),
        "Sysctls": dict(spec.sysctls),
        "Privileged": spec.privileged,
        "RestartPolicy": {"Name": spec.restart},
    }
    body: dict[str, Any] = {
        "Image": IMAGE,
        "Entrypoint": FOREVER,
        "StopSignal": "SIGKILL",  # the first process of a PID namespace ignores a SIGTERM
        "ExposedPorts": {} if shares else exposed,
        "HostConfig": host_config,
    }
    if not shares and mode != "host":
        body |= {"Hostname": spec.hostname, "Domainname": spec.domainname}
    if spec.endpoints:
        first = spec.endpoints[0]
        if first.mac_address:
            body["MacAddress"] = first.mac_address
        body["NetworkingConfig"] = {"EndpointsConfig": {first.network: endpoint_body(first)}}
    return body
