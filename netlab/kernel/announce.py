"""Announce a link's MAC address to its neighbours: gratuitous ARP, unsolicited advertisement.

Formats: RFC 826 and 5227 (section 3), RFC 4861 (section 4.4).
"""

from __future__ import annotations

import socket
from struct import pack

from netlab.kernel.netlink.message import address_bytes, mac_bytes
from netlab.kernel.packet import checksum

_ETH_ARP, _ETH_IPV6 = 0x0806, 0x86DD
_ALL_NODES = socket.inet_pton(socket.AF_INET6, "ff02::1")
_ICMPV6, _ADVERTISEMENT, _OVERRIDE, _TARGET_LINK_ADDRESS = 58, 136, 0x20000000, 2


def frame(mac: str, address: str) -> bytes:
    """The Ethernet frame that announces ``address`` (without prefix length) at ``mac``."""
    family, raw = address_bytes(address)
    own = mac_bytes(mac)
    if family == socket.AF_INET:
        arp = pack("!HHBBH", 1, 0x0800, 6, 4, 1) + own + raw + bytes(6) + raw
        return b"\xff" * 6 + own + pack("!H", _ETH_ARP) + arp
    body = pack("!II", 0, _OVERRIDE) + raw + pack("!BB", _TARGET_LINK_ADDRESS, 1) + own
    message = pack("!BB", _ADVERTISEMENT, 0) + pack("!H", 0) + body[4:]
    summed = raw + _ALL_NODES + pack("!II", len(message), _ICMPV6) + message
    message = message[:2] + pack("!H", checksum(summed)) + message[4:]
    head = pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255) + raw + _ALL_NODES
    return b"\x33\x33\0\0\0\1" + own + pack("!H", _ETH_IPV6) + head + message


def send(interface: str, mac: str, addresses: list[str]) -> None:
    """Announce addresses on an interface of the calling thread's namespace; raises OSError."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((interface, 0))
        for address in addresses:
            wire.send(frame(mac, address))
