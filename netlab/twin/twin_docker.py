"""Docker's engine and settings in a twin, and networks and containers of any engine as Compose has them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from netlab.model.engine_names import check_engine
from netlab.model.family import bracketed
from netlab.model.version import ENGINES, GENERATIONS, NEWEST, NFTABLES, Version, engine_version
from netlab.scenario.daemon import KEYS
from netlab.scenario.sysctls import wrong_sysctl
from netlab.twin.host import DOCKER, PODMAN, Binding, Container, Network, RealHost
from netlab.twin.read_sockets import listen_entries
from netlab.twin.twin_podman import DEFAULT, OPTIONS

#: names of nodes that a twin has besides containers
TAKEN = ("host", "client", "neighbour", "internet")
#: what makes an engine write nothing: the twin of a host without one
NO_ENGINE = {"bridge": "none", "iptables": False, "ip6tables": False, "ip-forward": False}
_PREFIX = "com.docker.network."
_DEFAULT_BRIDGE = "docker0"
#: options that Docker itself adds to the default network
_ITS_OWN = ("com.docker.network.bridge.default_bridge",)
_USUAL = "172.17.0.1/16"


def engine_of(host: RealHost, notes: list[str]) -> str:
    """The engine's name for the daemon's version; the nearest that netlab has, with a note."""
    if not host.docker:
        notes.append("no Docker daemon answered: the twin's engine writes nothing")
        return NEWEST
    suffix = NFTABLES if "nftables" in host.backend else ""
    name = f"docker-{host.docker}{suffix}"
    try:
        check_engine(name)
    except ValueError:
        nearest = _nearest(Version.parse(host.docker)) + suffix
        nearest = nearest if nearest in ENGINES else NEWEST
        notes.append(f"netlab does not know Docker {host.docker}: the twin has {nearest}")
        return nearest
    return name


def _nearest(version: Version) -> str:
    older = [one for one in GENERATIONS if one.first <= version]
    return older[-1].name if older else GENERATIONS[0].name


def daemon_of(host: RealHost, notes: list[str]) -> dict[str, Any]:
    """daemon.json, as far as this version knows its keys."""
    if not host.docker:
        return dict(NO_ENGINE)
    version = engine_version(engine_of(host, [])).version
    found: dict[str, Any] = {}
    for key, value in host.settings.items():
        if key == "userland-proxy-path":
            notes.append("daemon.json: userland-proxy-path is a program of the host's; netlab uses its own")
        elif key in KEYS and version in KEYS[key].span:
            found[key] = value
        else:
            notes.append(f"daemon.json: {key} is not known to Docker {version}")
    own = next((link for link in host.links if link.name == _DEFAULT_BRIDGE), None)
    address = next((a for a in own.addresses if ":" not in a), "") if own is not None else ""
    if address and address != _USUAL and not found.get("bip") and not found.get("bridge"):
        found["bip"] = address
    return found


def compose_of(
    host: RealHost, notes: list[str]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[str]]:
    """``services``, ``networks``, ``x-netlab.services`` and ``x-netlab.events``."""
    running = [one for one in host.containers if one.running]
    stopped = [one.name for one in host.containers if not one.running]
    if stopped:
        notes.append(f"stopped containers are left out: {', '.join(stopped[:20])}{'…' * (len(stopped) > 20)}")
    usable = {network.name: network for network in host.networks if network.driver == "bridge"}
    beside = bool(host.docker) and any(one.engine == PODMAN for one in running)
    others = [one.name for one in host.networks if one.driver not in ("bridge", "host", "null")]
    if others:
        notes.append(f"networks of other drivers are left out: {', '.join(others)}")
    keys = _keys(running)
    services: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for one in running:
        key = keys[one.id]
        services[key] = _service(one, key, usable, keys, running, notes)
        more: dict[str, Any] = {}
        if beside and one.engine == PODMAN:
            more["engine"] = PODMAN
        if one.listens is not None:
            more["listen"] = _listen(one)
        if more:
            extra[key] = more
    used = {name for service in services.values() for name in service.get("networks", ())}
    # Podman makes a bridge for its first container, so a network without one has left nothing
    own = [one for one in usable.values() if one.name != _default(one.engine)]
    own = [one for one in own if one.engine == DOCKER or one.name in used]
    networks = {network.name: _network(network, notes) for network in own}
    events = [f"create network {network.name}" for network in own if network.name not in used]
    return services, networks, extra, events


def _keys(running: list[Container]) -> dict[str, str]:
    """The services' names by the containers' ids: those of the containers, unless somebody else has it."""
    found: dict[str, str] = {}
    names: set[str] = set()
    for one in running:
        other = "container" if one.name in TAKEN else one.engine
        taken = one.name in TAKEN or one.name in names
        found[one.id] = f"{one.name}-{other}" if taken else one.name
        names.add(one.name)
    return found


def _default(engine: str) -> str:
    """The name of an engine's default network."""
    return "bridge" if engine == DOCKER else DEFAULT


def _network(network: Network, notes: list[str]) -> dict[str, Any]:
    pools = []
    for pool in network.pools:
        words = {"subnet": "Subnet", "ip_range": "IPRange", "gateway": "Gateway"}
        entry: dict[str, Any] = {
            key: str(pool[name])
            for key, name in words.items()
            if isinstance(pool.get(name), str) and pool[name]
        }
        reserved = pool.get("AuxiliaryAddresses")
        if isinstance(reserved, dict) and reserved:
            entry["aux_addresses"] = {key: str(value) for key, value in reserved.items()}
        if entry.get("subnet"):
            pools.append(entry)
    options = {
        key: value
        for key, value in network.options.items()
        if (key.startswith(_PREFIX) and key not in _ITS_OWN) or (network.engine == PODMAN and key in OPTIONS)
    }
    if network.engine == PODMAN:
        lost = sorted({*network.options} - {*options})
        notes += (f"the network {network.name}: Podman's option {key} is left out" for key in lost)
    found: dict[str, Any] = {
        "name": network.name,
        "driver_opts": {**options, f"{_PREFIX}bridge.name": network.bridge},
    }
    if pools:
        found["ipam"] = {"config": pools}
    if network.internal:
        found["internal"] = True
    if network.ipv6:
        found["enable_ipv6"] = True
    if not network.ipv4:
        found["enable_ipv4"] = False
    return found


def _service(
    one: Container,
    key: str,
    usable: Mapping[str, Network],
    keys: Mapping[str, str],
    running: list[Container],
    notes: list[str],
) -> dict[str, Any]:
    name = one.name if key == one.name or one.name in TAKEN else key
    found: dict[str, Any] = {"container_name": name} if len(name) > 1 else {}
    mode = _mode(one, usable, keys, notes)
    if mode:
        found["network_mode"] = mode
    else:
        found["networks"] = {
            endpoint.network: _attachment(one, endpoint.network, usable[endpoint.network])
            for endpoint in one.endpoints
            if endpoint.network in usable and endpoint.network != _default(one.engine)
        }
    ports = [_published(binding) for binding in one.bindings]
    if ports and mode not in ("host", "none") and not mode.startswith("service:"):
        found["ports"] = ports
    exposed = [f"{port}/{protocol}" for port, protocol in one.exposed]
    if exposed and not mode.startswith("service:"):
        found["expose"] = exposed
    named = {other.name: keys[other.id] for other in running if other.mode == one.mode}
    if links := [f"{named[target]}:{alias}" for target, alias in one.links if target in named]:
        found["links"] = links
    if one.restart in ("always", "unless-stopped"):
        found["restart"] = one.restart
    settings = {key: value for key, value in one.sysctls.items() if not wrong_sysctl(key, value)}
    if settings and mode != "host":
        found["sysctls"] = settings
    return found


def _mode(one: Container, usable: Mapping[str, Network], keys: Mapping[str, str], notes: list[str]) -> str:
    """``network_mode``; empty if the container is on networks of its own."""
    if one.mode in ("host", "none"):
        return one.mode
    if one.mode.startswith("container:"):
        target = keys.get(one.mode.partition(":")[2])
        if target is not None:
            return f"service:{target}"
        notes.append(
            f"{one.name} is in the network of a container that does not run: it has none in the twin"
        )
        return "none"
    names = [endpoint.network for endpoint in one.endpoints]
    lost = [name for name in names if name not in usable]
    if lost:
        notes.append(f"{one.name} is also on {', '.join(lost)}, which the twin does not have")
    if not names and one.engine == PODMAN:
        notes.append(f"{one.name} has the network {one.mode or 'none'}, which the twin does not have")
    there, default = [name for name in names if name in usable], _default(one.engine)
    if there == [default]:
        return "bridge"
    if default in there:
        notes.append(f"{one.name} is on the default bridge, too, which Compose cannot say")
    return "" if [name for name in there if name != default] else "none"


def _attachment(one: Container, name: str, network: Network) -> dict[str, Any]:
    endpoint = next(entry for entry in one.endpoints if entry.network == name)
    subnets = [str(pool.get("Subnet") or "") for pool in network.pools]
    found: dict[str, Any] = {}
    for key, address in (("ipv4_address", endpoint.ipv4), ("ipv6_address", endpoint.ipv6)):
        if address and any(_within(address, subnet) for subnet in subnets):
            found[key] = address
    if endpoint.gw_priority:
        found["gw_priority"] = endpoint.gw_priority
    return found


def _within(address: str, subnet: str) -> bool:
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(subnet)
    except ValueError:
        return False


def _published(binding: Binding) -> str:
    address = f"{bracketed(binding.address)}:" if binding.address else ""
    protocol = "" if binding.protocol == "tcp" else f"/{binding.protocol}"
    if not binding.host_port:
        return f"{binding.port}{protocol}"
    return f"{address}{binding.host_port}:{binding.port}{protocol}"


def _listen(one: Container) -> list[int | str | dict[str, int | str]]:
    """The ports on which its own programs take packets; with the host's network, not those of others."""
    if one.mode == "host":
        return []
    return listen_entries(one.listens or ())
