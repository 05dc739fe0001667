"""Networks: what is written down of one, and the bridge that it has while containers are on it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from hashlib import sha256

from netlab.engine.ipam import PoolError
from netlab.engine.podman import options
from netlab.engine.podman.host_state import HostState, LiveNetwork
from netlab.engine.podman.ipam import Leases
from netlab.engine.refusal import Refused
from netlab.model.event import NetworkSpec
from netlab.model.family import Family, Network, bare
from netlab.model.identifiers import digest, mac
from netlab.model.scenario import Pool

#: The network that is always there, and Compose's name for it (``network_mode: bridge``).
DEFAULT, COMPOSE_DEFAULT = "podman", "bridge"

#: types.NameRegex and types.RegexError of containers/common
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_NAME_RULE = "names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument"


def default(subnet: Network) -> LiveNetwork:
    """The network ``podman``: its id is no random one, and it has no DNS."""
    spec = NetworkSpec(
        DEFAULT, sha256(DEFAULT.encode()).hexdigest(), pools=(Pool(str(subnet)),), label=DEFAULT
    )
    leases = {Family.IPV4: Leases(subnet, subnet[1])}
    return LiveNetwork(spec, "podman0", leases, dns=False, default=True)


def create(state: HostState, spec: NetworkSpec) -> None:
    """``podman network create``: nothing on the host changes; raises :class:`Refused`."""
    if spec.name in state.networks:
        raise Refused("network", spec.name, f"network name {spec.name} already used: network already exists")
    options.check(spec, state.traits)
    chosen = options.read(spec, state.traits)
    bridge = chosen.bridge or _free_bridge(state)
    if bridge in _bridges(state):
        raise Refused("network", spec.name, f"bridge name {bridge} already in use")
    if not _NAME.fullmatch(spec.name):  # netavark puts it into comments of rules
        reason = f"network name {spec.name} invalid: {_NAME_RULE}"
        raise Refused("network", spec.name, reason)
    leases = _leases(state, spec)
    state.networks[spec.name] = LiveNetwork(spec, bridge, leases, chosen)


def remove(state: HostState, name: str) -> None:
    """``podman network rm``: not while a container, running or not, wants to be on it."""
    network = state.networks.get(name)
    if network is None:
        raise Refused("network", name, f"unable to find network with name or ID {name}: network not found")
    if network.default:
        raise Refused("network", name, f"default network {name} cannot be removed")
    if any(wish.network == name for one in state.containers.values() for wish in one.wishes):
        reason = f'"{name}" has associated containers with it. Use -f to forcibly delete containers and pods'
        raise Refused("network", name, reason)
    for family in network.families:
        state.pools.release(network.subnet(family))
    del state.networks[name]


def _bridges(state: HostState) -> set[str]:
    """Every name that no new bridge can have."""
    foreign = {tenant.name for tenant in state.host.bridges} | {one.name for one in state.host.interfaces}
    return foreign | {network.bridge for network in state.networks.values()}


def _free_bridge(state: HostState) -> str:
    taken, number = _bridges(state), 1
    while f"podman{number}" in taken:
        number += 1
    return f"podman{number}"


def _leases(state: HostState, spec: NetworkSpec) -> dict[Family, Leases]:
    """The subnets: those that are named, and one of Podman's choice where a family has none."""
    wished: dict[Family, Pool] = {}
    for pool in spec.pools:
        family = Family.of(pool.subnet or pool.gateway or "")
        if family in wished:
            reason = f"netlab does not reproduce several {family.word} subnets of one Podman network"
            raise Refused("network", spec.name, reason)
        wished[family] = pool
    if Family.IPV4 not in wished and (spec.enable_ipv6 or not wished):
        wished[Family.IPV4] = Pool()
    if spec.enable_ipv6 and Family.IPV6 not in wished:
        wished[Family.IPV6] = Pool()
    found: dict[Family, Leases] = {}
    try:
        for family in sorted(wished):
            found[family] = _one(state, spec, family, wished[family])
    except PoolError as error:
        for made in found.values():
            state.pools.release(made.subnet)
        raise Refused("network", spec.name, str(error)) from None
    return found


def _one(state: HostState, spec: NetworkSpec, family: Family, wish: Pool) -> Leases:
    subnet = _claimed(state, wish.subnet) if wish.subnet else _elected(state, spec, family)
    gateway = ipaddress.ip_address(bare(wish.gateway)) if wish.gateway else subnet[1]
    if gateway not in subnet:
        raise PoolError(f"gateway {gateway} not in subnet {subnet}")
    return Leases(
        subnet, gateway, ipaddress.ip_network(wish.ip_range, strict=False) if wish.ip_range else None
    )


def _claimed(state: HostState, text: str) -> Network:
    subnet = ipaddress.ip_network(text, strict=False)
    if _overlaps(subnet, (*state.pools.used, *state.pools.foreign)):
        raise PoolError(f"subnet {subnet} is already used on the host or by another config")
    state.pools.claim(subnet)
    return subnet


def _elected(state: HostState, spec: NetworkSpec, family: Family) -> Network:
    """The next subnet of the pools; in IPv6 one made from the network's id (Podman's is random)."""
    if family is Family.IPV4:
        try:
            return state.pools.elect(family)
        except PoolError:
            raise PoolError("could not find free subnet from subnet pools") from None
    prefix = int("fd" + digest("podman", spec.id)[:14], 16) << 64
    return _claimed(state, str(ipaddress.IPv6Network((prefix, 64))))


def _overlaps(subnet: Network, others: Iterable[Network]) -> bool:
    return any(other.version == subnet.version and subnet.overlaps(other) for other in others)


def raise_bridge(state: HostState, network: LiveNetwork) -> None:
    """Make the bridge for the first container, with the settings that netavark writes for it."""
    why = f"bridge of {network.title}"
    for family in network.families:
        if not network.internal:
            _forward(state, network, family)
    if network.index is not None:
        return
    network.index = state.claim_index()
    network.mac = mac(network.spec.id, network.bridge, str(network.index))
    if Family.IPV6 in network.families:
        state.sysctls.write(
            f"net.ipv6.conf.{network.bridge}.accept_dad", "0", f"{why}: its address is no duplicate"
        )
        state.sysctls.write(
            f"net.ipv6.conf.{network.bridge}.accept_ra", "0", f"{why}: no router may configure it"
        )
    if not state.traits.localnet_for_ports:
        route_localnet(state, network)
    if state.traits.loose_rp_filter:
        reason = f"{why}: any route back to the sender will do"
        state.sysctls.write(f"net.ipv4.conf.{network.bridge}.rp_filter", "2", reason)


def route_localnet(state: HostState, network: LiveNetwork) -> None:
    """Let 127.0.0.1 be rewritten to a container's address."""
    if not network.internal:
        reason = f"bridge of {network.title}: 127.0.0.1 reaches published ports by NAT"
        state.sysctls.write(f"net.ipv4.conf.{network.bridge}.route_localnet", "1", reason)


def _forward(state: HostState, network: LiveNetwork, family: Family) -> None:
    key = "net.ipv4.ip_forward" if family is Family.IPV4 else "net.ipv6.conf.all.forwarding"
    state.sysctls.ensure(key, "1", f"netavark turns forwarding on for {network.title}")


def lower_bridge(state: HostState, network: LiveNetwork) -> None:
    """Delete the bridge behind the last container."""
    network.index = None
    state.sysctls.forget(network.bridge)
