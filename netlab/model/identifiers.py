"""Ids and hardware addresses that are drawn at random on a real host, derived here from what they name.

The same scenario must give the same plan on every machine, so nothing is random: each is a hash.
"""

from __future__ import annotations

import hashlib
import ipaddress


def digest(*parts: str) -> str:
    """64 hex digits made from the parts: the id of a container, a network or an endpoint."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def mac(*parts: str) -> str:
    """A unicast, locally administered hardware address, such as the kernel draws."""
    octets = bytearray(bytes.fromhex(digest("mac", *parts)[:12]))
    octets[0] = (octets[0] & 0xFE) | 0x02
    return ":".join(f"{octet:02x}" for octet in octets)


def link_local(mac_address: str) -> str:
    """The IPv6 address that the kernel makes of a MAC address (modified EUI-64, RFC 4291 appendix A)."""
    octets = bytearray.fromhex(mac_address.replace(":", ""))
    octets[0] ^= 2
    interface_id = octets[:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes(interface_id)))
