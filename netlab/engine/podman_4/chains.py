"""The names of netavark's chains (netavark, src/firewall/varktables/types.rs)."""

from __future__ import annotations

from hashlib import sha512

from netlab.engine.podman.host_state import LiveNetwork

FORWARD, INPUT = "NETAVARK_FORWARD", "NETAVARK_INPUT"
ISOLATION_1, ISOLATION_2, ISOLATION_3 = (f"NETAVARK_ISOLATION_{number}" for number in (1, 2, 3))
DNAT = "NETAVARK-HOSTPORT-DNAT"
MASQ = "NETAVARK-HOSTPORT-MASQ"
SETMARK = "NETAVARK-HOSTPORT-SETMARK"
MARK = "0x2000/0x2000"


def chain_of(network: LiveNetwork) -> str:
    """The chain of a network, in both families: ``NETAVARK-466D1F97F1870``."""
    return f"NETAVARK-{_hash(network)}"


def dnat_chain_of(network: LiveNetwork) -> str:
    """The chain with its published ports."""
    return f"NETAVARK-DN-{_hash(network)}"


def _hash(network: LiveNetwork) -> str:
    return sha512(network.name.encode()).hexdigest()[:13].upper()
