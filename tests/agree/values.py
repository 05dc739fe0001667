"""What random rules and packets are about: the addresses, ports and interfaces of the random hosts."""

from __future__ import annotations

#: addresses and networks, by IP version
ADDRESSES = {
    4: (
        "198.51.100.2", "198.51.100.3", "198.51.100.1", "172.18.0.2", "172.18.0.3", "172.30.0.2",
        "203.0.113.9",
    ),
    6: ("2001:db8:1::2", "2001:db8:1::3", "2001:db8:1::1", "fd00:9::2", "2001:db8:9::9"),
}  # fmt: skip
NETWORKS = {
    4: ("198.51.100.0/24", "198.51.100.2/31", "172.16.0.0/12", "0.0.0.0/0", "203.0.113.0/28"),
    6: ("2001:db8:1::/64", "2001:db8:1::2/127", "fd00:9::/64", "::/0", "2001:db8:9::/48"),
}
PORTS = (22, 53, 5353, 80, 81, 443, 8080, 9000, 7000)
#: as iptables writes patterns; nft writes ``*`` for ``+``
INTERFACES = ("ext0", "lo", "br-+", "ext+", "docker0", "podman+")
