"""What of containers.conf shapes packets (``[network]``), with Podman's defaults."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netlab.engine.podman.ipam import DEFAULT_POOLS, DEFAULT_SUBNET
from netlab.model.family import Network

DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one host."""

    default_subnet: Network
    pools: tuple[tuple[Network, int], ...] = DEFAULT_POOLS
    #: where aardvark-dns listens; another port than 53 is reached by DNAT
    dns_port: int = DNS_PORT


def settings_of(conf: Mapping[str, Any]) -> Settings:
    """The settings that a checked containers.conf gives."""
    pools = tuple((_network(pool["base"]), pool["size"]) for pool in conf.get("default_subnet_pools", ()))
    return Settings(
        _network(conf.get("default_subnet", DEFAULT_SUBNET)),
        pools or DEFAULT_POOLS,
        conf.get("dns_bind_port", 0) or DNS_PORT,
    )


def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)
