"""Hand-made packets: scapy builds one template for each shape, later packets patch its bytes.

For what a socket cannot send: a forged source, a frame to a next hop that the routing table would not
choose, any TCP flags, fragments. A template costs scapy's import (some 140 ms, once) and a build; a packet of
it 3 to 5 µs. Layouts: RFC 791, 8200, 9293, 768, 792, 4443, 9260.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from netlab.kernel import libraries
from netlab.kernel import netns as namespaces
from netlab.model.family import Family
from netlab.model.shape import Shape

ETH_P: Final = {Family.IPV4: 0x0800, Family.IPV6: 0x86DD}
ETH_P_ALL: Final = 3
#: The sequence number of every TCP segment made here, which selects those for the trace whose flags begin
#: nothing.
SEQUENCE: Final = 0x6E6C7371
_PORTS = Struct(">HH")
_U16 = Struct(">H")
#: SCTP's common header and an INIT: its tag, window, streams and first number, then the supported address
#: types and a cookie preservative, which Linux's own INITs have the room for
_INIT: Final = Struct(">HHIIBBHIIHHIHHHHHHI").pack(
    1, 1, 0, 0, 1, 0, 36, 1, 1 << 16, 10, 10, 1, 12, 6, 5, 0, 9, 8, 0
)  # fmt: skip
_PSEUDO_TAIL = Struct(">IxxxB")
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23


class Template:
    """One shape, ready to be filled in."""

    def __init__(self, octets: bytes, shape: Shape) -> None:
        self.shape = shape
        self._octets = octets
        self._start = (octets[0] & 15) * 4 if shape.family is Family.IPV4 else 40
        icmp = 1 if shape.family is Family.IPV4 else 58
        self._number = {"tcp": 6, "udp": 17, "sctp": 132}.get(shape.protocol, icmp)
        self._sum_at = self._start + {"tcp": 16, "udp": 6}.get(shape.protocol, 2)
        self._ports_at = self._start + (4 if shape.protocol == "icmp" else 0)

    def fill(self, src: str, sport: int, dst: str, dport: int, identification: int = 0) -> bytes:
        """A packet; for an echo the ports are its identifier and number."""
        packet = bytearray(self._octets)
        v4 = self.shape.family is Family.IPV4
        addresses = _octets_of(src) + _octets_of(dst)
        start = self._start
        if v4:
            packet[12:20] = addresses
            _U16.pack_into(packet, 4, identification & 0xFFFF)
            packet[10:12] = b"\0\0"
            _U16.pack_into(packet, 10, checksum(packet[:start]))
        else:
            packet[8:40] = addresses
        _PORTS.pack_into(packet, self._ports_at, sport, dport)
        if self._number == 132:
            packet[start + 8 : start + 12] = bytes(4)
            packet[start + 8 : start + 12] = _crc32c(packet[start:]).to_bytes(4, "little")
            return bytes(packet)
        packet[self._sum_at : self._sum_at + 2] = b"\0\0"
        covered: bytes | bytearray = packet[start:]
        if not (v4 and self._number == 1):  # ICMP alone has no pseudo-header
            covered = addresses + _PSEUDO_TAIL.pack(len(packet) - start, self._number) + covered
        _U16.pack_into(packet, self._sum_at, checksum(covered) or 0xFFFF)
        return bytes(packet)

    def fragments(self, packet: bytes, identification: int) -> list[bytes]:
        """A filled packet, cut as the shape says; one piece if it needs no cutting."""
        size = self.shape.fragment & ~7
        if not size or len(packet) - self._start <= size:
            return [packet]
        body = packet[self._start :]
        cuts = range(0, len(body), size)
        return [
            self._fragment(packet, body[at : at + size], at, at + size < len(body), identification)
            for at in cuts
        ]

    def _fragment(self, packet: bytes, part: bytes, at: int, more: bool, identification: int) -> bytes:
        if self.shape.family is Family.IPV4:
            head = bytearray(packet[: self._start])
            _PORTS.pack_into(head, 2, self._start + len(part), identification & 0xFFFF)
            _U16.pack_into(head, 6, (0x2000 if more else 0) | at // 8)
            head[10:12] = b"\0\0"
            _U16.pack_into(head, 10, checksum(head))
            return bytes(head) + part
        head = bytearray(packet[:40])
        _U16.pack_into(head, 4, 8 + len(part))
        extension = bytes((head[6], 0)) + _U16.pack(at | more) + identification.to_bytes(4, "big")
        head[6] = 44
        return bytes(head) + extension + part


def checksum(data: bytes | bytearray) -> int:
    """The Internet checksum (RFC 1071); words of 16 bits add up, modulo 65,535, to the number they write."""
    if len(data) % 2:
        data = bytes(data) + b"\0"
    number = int.from_bytes(data, "big")
    return 0xFFFF - (number % 0xFFFF or (number and 0xFFFF))


def _crc32c(data: bytes | bytearray) -> int:
    """SCTP's checksum (RFC 9260, appendix A), bit by bit: a packet of netlab's has 48 octets."""
    found = 0xFFFFFFFF
    for octet in data:
        found ^= octet
        for _ in range(8):
            found = found >> 1 ^ (0x82F63B78 if found & 1 else 0)
    return found ^ 0xFFFFFFFF


@lru_cache(maxsize=1 << 12)
def _octets_of(address: str) -> bytes:
    return socket.inet_pton(Family.of(address).af, address)


@lru_cache(maxsize=256)
def template(shape: Shape) -> Template:
    """The template of a shape, built by scapy at the first call."""
    # Without a look at the machine's routes, and without the layers that nobody asked for.
    libraries.conf.route_autoload = libraries.conf.route6_autoload = False
    libraries.conf.load_layers = []
    inet, inet6 = libraries.inet, libraries.inet6
    if shape.family is Family.IPV4:
        layers: Any = inet.IP(src="192.0.2.1", dst="192.0.2.2", ttl=shape.hops, flags=0)
    else:
        layers = inet6.IPv6(src="2001:db8::1", dst="2001:db8::2", hlim=shape.hops)
    if shape.protocol == "tcp":
        options = [("MSS", 1460)] if "S" in shape.flags else []
        layers = layers / inet.TCP(sport=1, dport=1, flags=shape.flags, seq=SEQUENCE, options=options)
    elif shape.protocol == "udp":
        layers = layers / inet.UDP(sport=1, dport=1)
    elif shape.protocol == "sctp":
        number = {"proto": 132} if shape.family is Family.IPV4 else {"nh": 132}
        layers = type(layers)(**{**layers.fields, **number}) / libraries.Raw(_INIT)
    elif shape.family is Family.IPV4:
        layers = layers / inet.ICMP(type=8, id=1, seq=1)
    else:
        layers = layers / inet6.ICMPv6EchoRequest(id=1, seq=1)
    if shape.payload:
        layers = layers / libraries.Raw(shape.payload)
    return Template(bytes(layers), shape)


class PacketSocket:
    """Sends and receives whole IP packets in one namespace."""

    def __init__(self, netns: int | None, family: Family) -> None:
        with namespaces.inside(netns):
            flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            self._frames = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | flags, socket.htons(ETH_P_ALL))
            self._routed = socket.socket(family.af, socket.SOCK_RAW | flags, socket.IPPROTO_RAW)
        self._family = family
        self._frames.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)

    def fileno(self) -> int:
        """For a poll: readable when packets wait."""
        return self._frames.fileno()

    def send_routed(self, packet: bytes, destination: str, scope: int = 0) -> None:
        """Send by the routing table, through OUTPUT; the source may be anybody's. Raises OSError.

        ``scope`` is the interface of a link-local address, by its index.
        """
        self._routed.sendto(packet, (destination, 0, 0, scope) if scope else (destination, 0))

    def send_frame(self, packet: bytes, interface: str, mac: bytes) -> None:
        """Send directly to a MAC, regardless of the routing table; no hook of the sender sees it."""
        self._frames.sendto(packet, (interface, ETH_P[self._family], 0, 0, mac))

    def received(self) -> bytes | None:
        """The next packet that arrived, from its IP header on; None if there is none."""
        try:
            return self._frames.recv(65536)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close the sockets; idempotent."""
        self._frames.close()
        self._routed.close()
