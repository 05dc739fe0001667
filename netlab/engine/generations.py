"""The engines that exist, oldest first."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module

from netlab.engine.daemon_json import Dialect
from netlab.engine.docker.engine import DockerEngine
from netlab.engine.traits import Traits

_FROM_23 = frozenset(
    {"cdi-spec-dirs", "containerd-namespace", "containerd-plugin-namespace", "proxies", "validate"}
)
_FROM_28 = frozenset({"ip-forward-no-drop", "bip6", "allow-direct-routing", "host-gateway-ips"})
_FROM_29 = frozenset({"firewall-backend", "bridge-accept-fwmark"})

_DOCKER_19_03 = Traits(
    name="docker-19.03",
    firewalld_zone=False,
    reload_forgets=True,
    dialect=Dialect(
        unknown=_FROM_23 | _FROM_28 | _FROM_29 | {"ip6tables", "default-network-opts", "host-gateway-ip"}
    ),
    dual_stack_proxy=True,
    user_chain_v6=False,
    user_chain_always=True,
    unprivileged_ports=False,
    disables_ipv6_wholly=True,
    interfaces_first=True,
    notices_ipv6_off=False,
    interface_sysctls=True,
    host_gateways=0,
    internal_discovery=False,
    internal_default_route=True,
    empty_bridge_mtu=True,
    bridge_link_local=True,
    routes_ipv6_again=True,
)
_DOCKER_20_10 = Traits(
    name="docker-20.10",
    firewalld_internal=False,
    reload_forgets=True,
    dialect=Dialect(
        ip6tables_experimental=True,
        ip6tables_needs_iptables=True,
        unknown=_FROM_23 | _FROM_28 | _FROM_29 | {"default-network-opts"},
    ),
    proxy_minds_disable_ipv6=True,
    user_chain_v6=False,
    disables_ipv6_wholly=True,
    interfaces_first=True,
    notices_ipv6_off=False,
    interface_sysctls=True,
    internal_discovery=False,
    internal_default_route=True,
    empty_bridge_mtu=True,
    bridge_link_local=True,
    routes_ipv6_again=True,
)

_DOCKER_24 = replace(
    _DOCKER_20_10,
    name="docker-24",
    dialect=Dialect(ip6tables_experimental=True, ip6tables_needs_iptables=True, unknown=_FROM_28 | _FROM_29),
    user_chain_v6=True,
    internal_discovery=True,
)
_DOCKER_26 = replace(
    _DOCKER_24,
    name="docker-26",
    fixed_cidr_is_subnet=True,
    firewalld_internal=True,
    disables_ipv6_wholly=False,
    notices_ipv6_off=True,
    internal_default_route=False,
    empty_bridge_mtu=False,
    explains_resolv_conf=True,
    drops_link_local=True,
)
_DOCKER_27 = replace(
    _DOCKER_26,
    name="docker-27",
    firewalld_policy=True,
    bridge_link_local=False,
    routes_ipv6_again=False,
    drops_link_local=False,
    dialect=Dialect(ip6tables=True, unknown=_FROM_28 | _FROM_29),
    ports_ascending=True,
    one_port_for_both=True,
    bridge_nf_without_proxy=True,
    ula_pools=True,
    gateway_modes=("nat", "routed"),
)

_DOCKER_28 = replace(
    _DOCKER_27,
    name="docker-28",
    reuses_names=True,
    reload_forgets=False,
    dialect=Dialect(ip6tables=True, unknown=_FROM_29),
    v6_drop_at_start=False,
    random_macs=True,
    interfaces_first=False,
    interface_sysctls=False,
    host_gateways=2,
    maps_host_gateway=True,
    publishes_by_family=True,
    index_in_container=True,
    dockerd_backlog=0,
    listen_fd=True,
    gateway_modes=("nat", "nat-unprotected", "routed", "isolated"),
    routed_ignores_host_ports=True,
    ipv6_only=True,
    hosts_written_out=False,
    default_nameservers=False,
    disconnect_clears_hosts=False,
)
_DOCKER_29 = replace(
    _DOCKER_28,
    name="docker-29",
    dialect=Dialect(ip6tables=True),
    dockerd_backlog=4096,
)
_DOCKER_29_NFTABLES = replace(
    _DOCKER_29,
    name="docker-29-nftables",
    dialect=Dialect(ip6tables=True, nftables=True),
    enables_forwarding=False,
)

#: Each generation, and the folder that holds the layout of its rules.
GENERATIONS: dict[str, tuple[Traits, str]] = {
    traits.name: (traits, layout)
    for traits, layout in (
        (_DOCKER_19_03, "docker_20_10"),
        (_DOCKER_20_10, "docker_20_10"),
        (_DOCKER_24, "docker_20_10"),
        (_DOCKER_26, "docker_20_10"),
        (_DOCKER_27, "docker_20_10"),
        (_DOCKER_28, "docker_28"),
        (_DOCKER_29, "docker_29"),
        (_DOCKER_29_NFTABLES, "docker_29_nftables"),
    )
}
#: What ``firewall-backend: nftables`` in daemon.json makes of an engine.
_NFTABLES = {_DOCKER_29.name: _DOCKER_29_NFTABLES.name}


@cache
def engine(name: str) -> DockerEngine:
    """The engine of that name, its layout imported now; raises KeyError."""
    traits, layout = GENERATIONS[name]
    rules = import_module(f"netlab.engine.{layout}").FIREWALLER
    nftables = _NFTABLES.get(name)
    return DockerEngine(traits, rules, (lambda: engine(nftables)) if nftables else None)
