"""The settings of Podman that shape packets, unless ``containers.conf`` says otherwise."""

from __future__ import annotations

from netlab.engine.podman.ipam import DEFAULT_POOLS, DEFAULT_SUBNET
from netlab.engine.podman.networks import DEFAULT


def settings(name: str) -> tuple[tuple[str, str], ...]:
    """(key of the section ``[network]``, its value)."""
    pools = ", ".join(f"{base} in /{size}" for base, size in DEFAULT_POOLS)
    driver = "nftables" if name.endswith("-nftables") else "iptables"
    return (
        ("network_backend", "netavark"),
        ("firewall_driver", driver),
        ("default_network", DEFAULT),
        ("default_subnet", DEFAULT_SUBNET),
        ("default_subnet_pools", pools),
        ("dns_bind_port", "53"),
    )
