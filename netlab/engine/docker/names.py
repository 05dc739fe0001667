"""Names of links and hardware addresses as Docker makes them, each derived from what it names."""

from __future__ import annotations

import ipaddress

from netlab.model.identifiers import digest


def veth(*parts: str) -> str:
    """``veth`` and seven hex digits: the host's end of a container's link (GenerateIfaceName)."""
    return "veth" + digest("veth", *parts)[:7]


def docker_mac(*parts: str) -> str:
    """02:42 and four random octets: a bridge of Docker up to 27."""
    tail = digest("mac", *parts)[:8]
    return ":".join(("02", "42", *(tail[i : i + 2] for i in range(0, 8, 2))))


def mac_of(ipv4: str) -> str:
    """02:42 and the IPv4 address in hex: a container of Docker up to 27."""
    return ":".join(("02", "42", *(f"{octet:02x}" for octet in ipaddress.IPv4Address(ipv4).packed)))


def eui64(prefix: ipaddress.IPv6Network, mac_address: str) -> str:
    """The address that the prefix and Docker's own MAC rule give (no flipped bit: 2001:db8::242:ac11:2)."""
    octets = bytes.fromhex(mac_address.replace(":", ""))
    return str(ipaddress.IPv6Address(int(prefix.network_address) | int.from_bytes(octets)))
