"""Names, ids and hardware addresses that an engine draws at random, derived here from what they name.

The same scenario must give the same plan on every machine, so nothing is random: each is a hash.
"""

from __future__ import annotations

import hashlib
import ipaddress


def digest(*parts: str) -> str:
    """64 hex digits that stand for the parts: a container's, a network's, an endpoint's id."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def veth(*parts: str) -> str:
    """``veth`` and seven hex digits: the host's end of a container's link (GenerateIfaceName)."""
    return "veth" + digest("veth", *parts)[:7]


def mac(*parts: str) -> str:
    """A unicast, locally administered hardware address, such as the kernel draws."""
    octets = bytearray(bytes.fromhex(digest("mac", *parts)[:12]))
    octets[0] = (octets[0] & 0xFE) | 0x02
    return ":".join(f"{octet:02x}" for octet in octets)


def docker_mac(*parts: str) -> str:
    """02:42 and four random octets: a bridge of Docker up to 27."""
    tail = digest("mac", *parts)[:8]
    return ":".join(("02", "42", *(tail[i : i + 2] for i in range(0, 8, 2))))


def mac_of(ipv4: str) -> str:
    """02:42 and the IPv4 address in hex: a container of Docker up to 27."""
    return ":".join(("02", "42", *(f"{octet:02x}" for octet in ipaddress.IPv4Address(ipv4).packed)))


def link_local(mac_address: str) -> str:
    """The address that the kernel makes of a MAC (modified EUI-64, RFC 4291 appendix A)."""
    octets = bytearray.fromhex(mac_address.replace(":", ""))
    octets[0] ^= 2
    interface_id = octets[:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes(interface_id)))


def eui64(prefix: ipaddress.IPv6Network, mac_address: str) -> str:
    """The address that the prefix and Docker's own MAC rule give (no flipped bit: 2001:db8::242:ac11:2)."""
    octets = bytes.fromhex(mac_address.replace(":", ""))
    return str(ipaddress.IPv6Address(int(prefix.network_address) | int.from_bytes(octets)))
