"""The options of a network (``driver_opts`` in Compose, ``podman network create -o``).

Source: containers/common, libnetwork/netavark/config.go; refusals measured on 4.3.1, 5.4.2 and 5.8.6.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from typing import Literal

from netlab.engine.podman.traits import Traits
from netlab.engine.refusal import Refused
from netlab.model.event import NetworkSpec

#: The names that Docker's API has for the bridge's name and the MTU.
_DOCKER = "com.docker.network."
_BRIDGE = _DOCKER + "bridge.name"
_MTUS = ("mtu", _DOCKER + "driver.mtu")
_ISOLATE, _METRIC, _NO_DEFAULT_ROUTE = "isolate", "metric", "no_default_route"
#: What Podman knows, and netlab does not reproduce.
_MISSING = ("vlan", "vrf", "mode", "host_interface_name")
#: How far a network is kept apart: not at all, from others that are, or from all others.
Isolation = Literal["no", "yes", "strict"]
#: Of netavark's default routes, unless the network says another.
DEFAULT_METRIC = 100
#: What Go's strconv.ParseBool takes.
_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """The options that were given; ``bridge`` is empty for a name of Podman's choice."""

    bridge: str = ""
    mtu: int = 1500
    isolate: Isolation = "no"
    metric: int = DEFAULT_METRIC
    default_route: bool = True


def read(spec: NetworkSpec, traits: Traits) -> BridgeOptions:
    """The options of a network; raises :class:`Refused` in Podman's words, and for what is not reproduced."""
    chosen = BridgeOptions()
    for key, value in spec.driver_opts.items():
        if key.removeprefix(_DOCKER) in traits.unknown_options:
            raise Refused("network", spec.name, f"unsupported bridge network option {key}")
        if key == _BRIDGE:
            chosen = replace(chosen, bridge=value)
        elif key in _MTUS:
            chosen = replace(chosen, mtu=_number(spec, value) or 1500)
        elif key == _ISOLATE:
            chosen = replace(chosen, isolate=_isolation(spec, value, traits))
        elif key == _METRIC:
            chosen = replace(chosen, metric=_number(spec, value))
        elif key == _NO_DEFAULT_ROUTE:
            chosen = replace(chosen, default_route=not _flag(spec, value))
        elif key in _MISSING:
            reason = f"netlab does not reproduce Podman's network option {key} yet"
            raise Refused("network", spec.name, reason)
        else:
            raise Refused("network", spec.name, f"unsupported bridge network option {key}")
    return chosen


def _number(spec: NetworkSpec, value: str) -> int:
    if not (value.isascii() and value.isdigit()):
        raise Refused("network", spec.name, f'strconv.Atoi: parsing "{value}": invalid syntax')
    return int(value)


def _isolation(spec: NetworkSpec, value: str, traits: Traits) -> Isolation:
    if value == "strict" and traits.strict_isolation:
        return "strict"
    return "yes" if _flag(spec, value) else "no"


def _flag(spec: NetworkSpec, value: str) -> bool:
    if value not in _BOOLEANS:
        raise Refused("network", spec.name, f'strconv.ParseBool: parsing "{value}": invalid syntax')
    return _BOOLEANS[value]


def check(spec: NetworkSpec, traits: Traits) -> None:
    """Raise :class:`Refused` for what else of a network is not Podman's, or not reproduced."""
    if spec.driver != "bridge":
        raise Refused("network", spec.name, f"the {spec.driver} driver is not reproduced, only bridge is")
    if spec.internal and not traits.internal:
        raise Refused("network", spec.name, "netlab does not reproduce internal networks of Podman 4 yet")
    if spec.enable_ipv4 is False:
        raise Refused(
            "network", spec.name, "Podman cannot switch IPv4 off (enable_ipv4); name an IPv6 subnet alone"
        )
    for pool in spec.pools:
        if pool.aux_addresses:
            raise Refused("network", spec.name, "Podman reserves no addresses (aux_addresses)")
        if pool.subnet is not None and ipaddress.ip_network(pool.subnet, strict=False).num_addresses < 4:
            raise Refused(
                "network", spec.name, f"netlab does not reproduce a Podman network as small as {pool.subnet}"
            )
