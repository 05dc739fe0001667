"""``docker network create`` and ``rm``: subnets, the bridge, its sysctls, and the rules of the layout."""

from __future__ import annotations

import ipaddress

from netlab.engine.docker import firewalld, names, options
from netlab.engine.docker.firewaller import Firewaller
from netlab.engine.docker.host_state import HostState, LiveNetwork
from netlab.engine.ipam import AddressPool, PoolError
from netlab.engine.refusal import Refused
from netlab.engine.tables import IptablesError
from netlab.model.event import NetworkSpec
from netlab.model.family import IPV6_MIN_MTU, Family, Network, bare
from netlab.model.identifiers import mac
from netlab.model.scenario import Pool

#: Docker's own networks, which exist from the start.
DEFAULT_BRIDGE = "bridge"


#: Reserved auxiliary addresses: a default gateway other than the bridge.
GATEWAY_KEYS = {Family.IPV4: "DefaultGatewayIPv4", Family.IPV6: "DefaultGatewayIPv6"}


def create(
    state: HostState, rules: Firewaller, spec: NetworkSpec, mtu: int = 1500, index: int | None = None
) -> None:
    """Create a bridge network; raises :class:`Refused`, and then nothing has changed.

    ``index`` is the ifindex of the bridge, if it was left by an earlier daemon.
    """
    network = _describe(state, spec, mtu, index)
    state.networks[spec.name] = network
    try:
        set_up(state, rules, network)
        if state.traits.user_chain_rearranged:
            rules.user_chain(state)
    except IptablesError as error:
        if error.undone:
            rules.remove_network(state, network)
        state.failures.append(f"Failed to Setup IP tables: {error}; there is no network {spec.name}")
        _forget(state, network)


def remove(state: HostState, rules: Firewaller, name: str) -> None:
    """Remove a network that no running container is on."""
    network = state.networks.get(name)
    if network is None:
        raise Refused("network", name, f"No such network: {name}")
    if network.endpoints:
        used = ", ".join(network.endpoints)
        raise Refused("network", name, f"network {name} has active endpoints ({used})")
    rules.remove_network(state, network)
    _forget(state, network)


def _forget(state: HostState, network: LiveNetwork) -> None:
    firewalld.leave(state, network)
    for pool in network.pools.values():
        state.pools.release(pool.subnet)
    state.sysctls.forget(network.bridge)
    del state.networks[network.name]


def set_up(state: HostState, rules: Firewaller, network: LiveNetwork) -> None:
    """Everything that the bridge driver does on the host for a network, in its order (createNetwork)."""
    bridge, why = network.bridge, f"bridge of {network.title}"
    if network.mac is not None or network.default_bridge:
        state.sysctls.write(f"net.ipv6.conf.{bridge}.accept_ra", "0", f"{why}: no router may configure it")
    if state.traits.networks_forward and Family.IPV4 in network.families:
        rules.forward_policy(state, forward_ipv4(state))
    if Family.IPV6 in network.families:
        off = network.isolated(Family.IPV6)
        reason = "isolated, it has no address" if off else "an IPv6 network"
        state.sysctls.write(f"net.ipv6.conf.{bridge}.disable_ipv6", str(int(off)), f"{why}: {reason}")
        if state.daemon.ip_forward and state.traits.enables_forwarding:
            _forward_ipv6(state, network)
    if not state.daemon.userland_proxy:
        state.sysctls.write(
            f"net.ipv4.conf.{bridge}.route_localnet",
            "1",
            f"{why}: without the userland proxy 127.0.0.1 reaches published ports by NAT",
        )
    rules.add_network(state, network)
    firewalld.join(state, network)
    _bridge_netfilter(state, network)


def forward_ipv4(state: HostState) -> bool:
    """Turn IPv4 forwarding on; whether it was off (setupIPv4Forwarding)."""
    if not state.daemon.ip_forward or not state.traits.enables_forwarding:
        return False
    return state.sysctls.ensure("net.ipv4.ip_forward", "1", "dockerd turns forwarding on (ip-forward)")


def _forward_ipv6(state: HostState, network: LiveNetwork) -> None:
    why = f"{network.title} is an IPv6 network, and dockerd turns forwarding on for it"
    turned = state.sysctls.ensure("net.ipv6.conf.default.forwarding", "1", why)
    turned |= state.sysctls.ensure("net.ipv6.conf.all.forwarding", "1", why)
    drops = not state.traits.v6_drop_at_start and not state.daemon.ip_forward_no_drop
    if turned and drops and Family.IPV6 in state.families():
        state.tables[Family.IPV6].policy("filter", "FORWARD", "DROP")


def _bridge_netfilter(state: HostState, network: LiveNetwork) -> None:
    without_proxy = state.traits.bridge_nf_without_proxy and not state.daemon.userland_proxy
    if (network.icc and not without_proxy) or not state.daemon.iptables:
        return
    why = "no userland proxy" if network.icc else f"icc is off on {network.title}"
    for family in network.families:
        key = f"net.bridge.bridge-nf-call-{family.iptables}"
        state.sysctls.write(key, "1", f"{why}: frames between its containers must pass iptables")


def _describe(state: HostState, spec: NetworkSpec, mtu: int, index: int | None) -> LiveNetwork:
    if spec.name in state.networks:
        raise Refused("network", spec.name, f"network with name {spec.name} already exists")
    if spec.driver != "bridge":
        raise Refused("network", spec.name, f"the {spec.driver} driver is not reproduced, only bridge is")
    defaults = {} if spec.name == DEFAULT_BRIDGE else state.daemon.network_opts
    opts = {**defaults, **spec.driver_opts}
    asked = {Family.IPV4: spec.enable_ipv4, Family.IPV6: spec.enable_ipv6}
    families = options.enabled(spec.name, opts, state.traits, asked)
    chosen = options.read(spec.name, f"br-{spec.id[:12]}", opts, state.traits, mtu)
    if "isolated" in chosen.modes.values() and not spec.internal:
        reason = "gateway mode 'isolated' can only be used for an internal network"
        raise Refused("network", spec.name, reason)
    if chosen.default_bridge and spec.name != DEFAULT_BRIDGE:
        raise Refused("network", spec.name, "cannot create default bridge network: there is one already")
    for other in state.networks.values():
        if other.bridge == chosen.bridge:
            raise Refused(
                "network",
                spec.name,
                f"conflicts with network {other.spec.id} ({other.name}): networks have same bridge name",
            )
    if families[Family.IPV6] and Family.IPV4 in chosen.snat:
        _check_source_nat(state, spec, chosen)
    foreign = {tenant.name for tenant in state.host.bridges} | {i.name for i in state.host.interfaces}
    pools = _pools(state, spec, chosen, families)
    for text in options.unread(opts, state.traits, asked):
        state.note("network", spec.name, text)
    exists = chosen.bridge in foreign
    return LiveNetwork(
        spec=spec,
        bridge=chosen.bridge,
        mac=None if exists else _mac(state, spec, chosen.bridge),
        index=None if exists else index or state.claim_index(),
        pools=pools,
        icc=chosen.icc,
        masquerade=chosen.masquerade,
        host_ip=chosen.host_ip,
        mtu=chosen.mtu,
        prefix=chosen.prefix,
        inhibit_ipv4=chosen.inhibit_ipv4,
        default_bridge=spec.name == DEFAULT_BRIDGE,
        modes=chosen.modes,
        trusted=chosen.trusted,
        snat=chosen.snat,
        next_hops=_next_hops(spec),
    )


def _check_source_nat(state: HostState, spec: NetworkSpec, chosen: options.BridgeOptions) -> None:
    """20.10 to 24 write the IPv4 source address into the IPv6 rules as well."""
    if state.traits.host_ipv4_in_both and Family.IPV6 in state.families():
        address = chosen.snat[Family.IPV4]
        raise Refused(
            "network",
            spec.name,
            "Failed to Setup IP tables: Unable to enable NAT rule:  (iptables failed: ip6tables --wait "
            f"-t nat -I POSTROUTING … -o {chosen.bridge} -j SNAT --to-source {address}: "
            f'Bad IP address "{address}")',
        )


def _next_hops(spec: NetworkSpec) -> dict[Family, str]:
    """Default gateways other than the bridge."""
    return {
        family: pool.aux_addresses[key]
        for pool in spec.pools
        for family, key in GATEWAY_KEYS.items()
        if key in pool.aux_addresses
    }


def _mac(state: HostState, spec: NetworkSpec, bridge: str) -> str:
    make = mac if state.traits.random_macs else names.docker_mac
    return make(spec.id, bridge)


def _pools(
    state: HostState, spec: NetworkSpec, chosen: options.BridgeOptions, enabled: dict[Family, bool]
) -> dict[Family, AddressPool]:
    requested: dict[Family, list[Pool]] = {Family.IPV4: [], Family.IPV6: []}
    for pool in spec.pools:
        requested[_family(pool)].append(pool)
    if not any(enabled.values()):
        raise Refused("network", spec.name, "IPv4 or IPv6 must be enabled")
    found: dict[Family, AddressPool] = {}
    try:
        for family in Family:
            if not enabled[family]:
                continue
            if len(requested[family]) > 1:
                raise PoolError("bridge driver doesn't support multiple subnets")
            request = requested[family][0] if requested[family] else Pool()
            gateway = bool(request.gateway) or not _spares_gateway(state, spec, chosen, family)
            found[family] = _pool(state, family, request, gateway)
    except PoolError as error:
        for pool_found in found.values():
            state.pools.release(pool_found.subnet)
        raise Refused("network", spec.name, str(error)) from error
    return found


def _spares_gateway(
    state: HostState, spec: NetworkSpec, chosen: options.BridgeOptions, family: Family
) -> bool:
    """Whether no address is reserved for a gateway that was not configured (GetSkipGwAlloc)."""
    inhibited = family is Family.IPV4 and chosen.inhibit_ipv4 and state.traits.inhibit_spares_gateway
    return spec.internal and (inhibited or chosen.modes[family] == "isolated")


def _family(pool: Pool) -> Family:
    return Family.of(pool.subnet or pool.gateway or "")


def _pool(state: HostState, family: Family, request: Pool, gateway: bool) -> AddressPool:
    """One subnet with its gateway and its auxiliary addresses taken."""
    asked = ipaddress.ip_network(request.subnet, strict=False) if request.subnet else None
    if asked is not None and asked.network_address.is_unspecified and state.traits.sized_subnets:
        subnet = state.pools.elect(family, asked.prefixlen)
    elif asked is not None:
        subnet = asked
        state.pools.claim(subnet)
    elif (
        family is Family.IPV6
        and not state.traits.ula_pools
        and not any(b.version == 6 for b, _ in state.daemon.pools)
    ):
        raise PoolError(
            "could not find an available, non-overlapping IPv6 address pool among the defaults "
            "to assign to the network"
        )
    else:
        subnet = state.pools.elect(family)
    try:
        pool = AddressPool(subnet)
        if request.ip_range:
            within = ipaddress.ip_network(request.ip_range, strict=False)
            if not contains(subnet, within):
                raise PoolError(f"no matching subnet for range {request.ip_range!r}")
            pool.range = within
        if gateway:
            pool.gateway = pool.take(bare(request.gateway)) if request.gateway else pool.next()
        for address in request.aux_addresses.values():
            pool.reserve(address)
    except PoolError:
        state.pools.release(subnet)
        raise
    return pool


def has_ipv6(state: HostState, network: LiveNetwork) -> bool:
    """Whether the kernel keeps IPv6 on the bridge: not below its smallest MTU (addrconf_notify)."""
    empty = not network.endpoints and state.traits.empty_bridge_mtu
    return empty or network.mtu >= IPV6_MIN_MTU


def contains(outer: Network, inner: Network) -> bool:
    """Whether one subnet holds the other."""
    return (
        outer.version == inner.version
        and outer.prefixlen <= inner.prefixlen
        and inner.network_address in outer
    )
