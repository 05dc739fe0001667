"""What sets one version of Podman apart from another.

Source of every value: recordings of Podman 4.3.1 (netavark 1.4.0), 5.4.2 (1.14.0) and 5.8.6 (1.17.2); the
last two wrote the same rules, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traits:
    """The habits of one version, with one firewall driver of netavark."""

    name: str  #: the engine's
    #: rp_filter=2 on bridges and on interfaces of containers, arp_notify=1 on the latter
    loose_rp_filter: bool = True
    #: IPv4 forwarding is not turned on for an internal network
    internal_spares_forwarding: bool = True
    #: the names of the host in a container's /etc/hosts
    host_names: tuple[str, ...] = ("host.containers.internal", "host.docker.internal")
    #: the container's host name is one of its names in DNS
    hostname_in_dns: bool = True


NFTABLES_5 = Traits("podman-5-nftables")
IPTABLES_5 = Traits("podman-5-iptables")
