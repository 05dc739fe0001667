"""The options of the bridge driver, ``com.docker.network.*``, as a network is created with them.

Source: libnetwork/drivers/bridge/labels.go and fromLabels of each generation.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from netlab.engine.refusal import Refused
from netlab.engine.traits import Traits
from netlab.model.family import Family

BRIDGE = "com.docker.network.bridge."
NAME = BRIDGE + "name"
ICC = BRIDGE + "enable_icc"
MASQUERADE = BRIDGE + "enable_ip_masquerade"
HOST_BINDING = BRIDGE + "host_binding_ipv4"
DEFAULT_BRIDGE = BRIDGE + "default_bridge"
INHIBIT_IPV4 = BRIDGE + "inhibit_ipv4"
TRUSTED = BRIDGE + "trusted_host_interfaces"
MODES = {Family.IPV4: BRIDGE + "gateway_mode_ipv4", Family.IPV6: BRIDGE + "gateway_mode_ipv6"}
SNAT = {Family.IPV4: "com.docker.network.host_ipv4", Family.IPV6: "com.docker.network.host_ipv6"}
MTU = "com.docker.network.driver.mtu"
IFACE_PREFIX = "com.docker.network.container_iface_prefix"

#: What Go's strconv.ParseBool takes.
BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """The options of one network, checked."""

    bridge: str
    icc: bool
    masquerade: bool
    host_ip: str
    mtu: int
    prefix: str
    inhibit_ipv4: bool
    default_bridge: bool
    modes: dict[Family, str]
    trusted: tuple[str, ...]
    snat: dict[Family, str]


def _flag(network: str, opts: Mapping[str, str], key: str, default: bool) -> bool:
    value = opts.get(key, "")
    if value == "":
        return default
    if value not in BOOLEANS:
        raise Refused("network", network, f"{key}: strconv.ParseBool: parsing {value!r}: invalid syntax")
    return BOOLEANS[value]


def _mode(network: str, opts: Mapping[str, str], family: Family, traits: Traits) -> str:
    value = opts.get(MODES[family], "") or "nat"
    if not traits.gateway_modes:
        return "nat"
    if value not in traits.gateway_modes:
        raise Refused("network", network, f"unknown gateway mode {value}")
    return value


def read(
    network: str, bridge: str, opts: Mapping[str, str], traits: Traits, mtu: int = 1500
) -> BridgeOptions:
    """The options of the network of that name; raises :class:`Refused` as the driver does."""
    text = opts.get(MTU, "")
    try:
        mtu = int(text) if text else mtu
    except ValueError as error:
        raise Refused("network", network, f"{MTU}: {text!r} is no number") from error
    name = opts.get(NAME, "") or bridge
    if len(name) > 15:
        raise Refused(
            "network",
            network,
            f"the bridge name {name!r} is longer than the 15 characters an interface may have",
        )
    host_ip = opts.get(HOST_BINDING, "")
    if host_ip:
        try:
            host_ip = str(ipaddress.ip_address(host_ip))
        except ValueError as error:
            raise Refused("network", network, f"nil ip for {HOST_BINDING}: {error}") from error
    return BridgeOptions(
        bridge=name,
        icc=_flag(network, opts, ICC, True),
        masquerade=_flag(network, opts, MASQUERADE, True),
        host_ip=host_ip,
        mtu=mtu or 1500,
        prefix=opts.get(IFACE_PREFIX, "") or "eth",
        inhibit_ipv4=_flag(network, opts, INHIBIT_IPV4, False),
        default_bridge=_flag(network, opts, DEFAULT_BRIDGE, False),
        modes={family: _mode(network, opts, family, traits) for family in Family},
        trusted=tuple(part for part in opts.get(TRUSTED, "").split(":") if part)
        if traits.gateway_modes
        else (),
        snat={family: opts[key] for family, key in SNAT.items() if opts.get(key)},
    )
