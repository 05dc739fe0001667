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
    #: the names of the host in a container's /etc/hosts
    host_names: tuple[str, ...] = ("host.containers.internal", "host.docker.internal")
    #: the container's host name is one of its names in DNS
    hostname_in_dns: bool = True
    #: aardvark-dns also listens on TCP, gives a container the names of all its networks, and ignores case
    newer_dns: bool = True
    #: ``[::]`` publishes every address of IPv6; the old one writes rules for ``::``, which no packet has
    reads_unspecified: bool = True
    #: the bridge has an address of its own; else it takes that of one of its ports
    own_bridge_mac: bool = True
    #: the network options that it does not know, and values that it cannot read
    unknown_options: tuple[str, ...] = ()
    strict_isolation: bool = True
    #: a bridge gets route_localnet when a container publishes ports, not when it is made
    localnet_for_ports: bool = False
    #: netlab reproduces its internal networks
    internal: bool = True
    #: rootless, it knows pasta (from 4.4 on)
    pasta: bool = True


PODMAN_4 = Traits(
    "podman-4",
    loose_rp_filter=False,
    host_names=("host.containers.internal",),
    hostname_in_dns=False,
    newer_dns=False,
    reads_unspecified=False,
    own_bridge_mac=False,
    unknown_options=("metric", "no_default_route", "driver.mtu"),
    strict_isolation=False,
    localnet_for_ports=True,
    internal=False,
    pasta=False,
)
NFTABLES_5 = Traits("podman-5-nftables")
IPTABLES_5 = Traits("podman-5-iptables")
