"""Ethernet frames as bytes: ARP, IPv4, IPv6, ICMP and the checksums of TCP and UDP.

Addresses are packed (4 or 16 bytes). Sources: RFC 826, 791, 8200, 792, 4443, 4861, 1071.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
ETHERNET = 14
#: The place of the checksum in a header.
_CHECKSUM_AT = {TCP: 16, UDP: 6, ICMP: 2, ICMPV6: 2}
_HOPS = 64
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_IPV4 = struct.Struct("!BBHHHBBH4s4s")
_IPV6 = struct.Struct("!IHBB16s16s")


class Packet(NamedTuple):
    """A packet from the container: ``segment`` is what follows the IP header."""

    src: bytes
    dst: bytes
    protocol: int
    segment: bytes


class ArpQuestion(NamedTuple):
    """Who has ``target``? asks the one with ``sender`` and ``mac``."""

    mac: bytes
    sender: bytes
    target: bytes


def checksum(data: bytes) -> int:
    """The internet checksum; ``data`` is not all zero."""
    whole = data if len(data) % 2 == 0 else data + b"\0"
    # The one's complement sum of 16-bit words is the number modulo 65535, since 65536 is 1 there.
    return 0xFFFF - (int.from_bytes(whole) % 0xFFFF or 0xFFFF)


def parse(frame: bytes) -> Packet | ArpQuestion | None:
    """What a frame holds; None if it is nothing for us, a fragment, or cut off."""
    if len(frame) < ETHERNET:
        return None
    kind = int.from_bytes(frame[12:14])
    try:
        if kind in (IPV4, IPV6):
            return _ip(frame, kind)
        if kind == ARP:
            _, _, _, _, operation, mac, sender, _, target = _ARP.unpack_from(frame, ETHERNET)
            return ArpQuestion(mac, sender, target) if operation == 1 else None
    except struct.error:
        return None
    return None


def _ip(frame: bytes, kind: int) -> Packet | None:
    if kind == IPV6:
        first, length, protocol, _, src, dst = _IPV6.unpack_from(frame, ETHERNET)
        version, begin = first >> 28, ETHERNET + _IPV6.size
        end, fragment = begin + length, 0
    else:
        first, _, length, _, fragment, _, protocol, _, src, dst = _IPV4.unpack_from(frame, ETHERNET)
        version, begin, end = first >> 4, ETHERNET + (first & 15) * 4, ETHERNET + length
    if version != (6 if kind == IPV6 else 4) or fragment & 0x3FFF:
        return None
    return Packet(src, dst, protocol, frame[begin:end])


def ip_packet(packet: Packet) -> bytes:
    """An IP packet with its checksums; that of its segment is written in its place."""
    src, dst, protocol, segment = packet
    six = len(src) == 16
    at = _CHECKSUM_AT[protocol]
    pseudo = b""
    if six:
        pseudo = src + dst + struct.pack("!II", len(segment), protocol)
    elif protocol != ICMP:
        pseudo = src + dst + struct.pack("!HH", protocol, len(segment))
    total = checksum(pseudo + segment[:at] + b"\0\0" + segment[at + 2 :])
    if total == 0 and protocol == UDP:
        total = 0xFFFF
    segment = segment[:at] + total.to_bytes(2) + segment[at + 2 :]
    if six:
        hops = 255 if protocol == ICMPV6 else _HOPS
        return _IPV6.pack(6 << 28, len(segment), protocol, hops, src, dst) + segment
    header = _IPV4.pack(0x45, 0, 20 + len(segment), 0, 0x4000, _HOPS, protocol, 0, src, dst)
    return header[:10] + checksum(header).to_bytes(2) + header[12:] + segment


def ethernet(to: bytes, mine: bytes, kind: int) -> bytes:
    """The header of a frame."""
    return to + mine + kind.to_bytes(2)


def arp_answer(question: ArpQuestion, mac: bytes) -> bytes:
    """A whole frame: ``mac`` has the address that was asked for."""
    body = _ARP.pack(1, IPV4, 6, 4, 2, mac, question.target, question.mac, question.sender)
    return ethernet(question.mac, mac, ARP) + body


def solicited(packet: Packet) -> bytes | None:
    """The address that a neighbour solicitation asks for; None if it is none, or looks for duplicates."""
    if packet.protocol != ICMPV6 or len(packet.segment) < 24 or not any(packet.src):
        return None
    return packet.segment[8:24] if packet.segment[0] == NEIGHBOUR_SOLICITATION else None


def advertisement(packet: Packet, target: bytes, mac: bytes) -> Packet:
    """The answer to a neighbour solicitation: solicited, it overrides, and has the link-layer address."""
    segment = struct.pack("!BBHI", NEIGHBOUR_ADVERTISEMENT, 0, 0, 0x60000000) + target + b"\2\1" + mac
    return Packet(target, packet.src, ICMPV6, segment)


def unreachable(about: Packet, sender: bytes, code: tuple[int, int]) -> Packet:
    """The ICMP error ``code`` (type and code) about a packet from the container, with its beginning."""
    six = len(about.src) == 16
    quoted = ip_packet(about)
    quoted = quoted[: 1232 - 48] if six else quoted[:28]
    segment = struct.pack("!BBHI", *code, 0, 0) + quoted
    return Packet(sender, about.src, ICMPV6 if six else ICMP, segment)
