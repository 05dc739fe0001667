"""Read addresses and ports out of the headers that a trace event carries.

A *key* identifies a packet's conversation: IP version, protocol, addresses, and ports (the identifier and
sequence number of an ICMP echo). It is a byte string, so that hundreds of thousands can be compared cheaply.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from struct import Struct
from typing import Final

from netlab.model.family import Family, af_of, endpoint
from netlab.model.journey import Icmp, Packet
from netlab.model.trace import Headers

TCP: Final = 6
UDP: Final = 17
SCTP: Final = 132
ICMP: Final = {Family.IPV4: 1, Family.IPV6: 58}
#: the protocol numbers of a flow's protocol names
PROTOCOLS: Final = {"tcp": TCP, "udp": UDP, "sctp": SCTP}

_FRAGMENT_HEADER: Final = 44
_PORTS = Struct(">HH")
_WITH_PORTS: Final = frozenset((TCP, UDP, SCTP))
_ECHO: Final = {(1, 0), (1, 8), (58, 128), (58, 129)}
#: Destination unreachable, time exceeded, parameter problem. A redirect (5) and a source quench (4) quote a
#: packet, too, but it went on its way.
_ERRORS_IPV4: Final = frozenset((3, 11, 12))
#: Ethernet, IPv4
_ARP_IPV4: Final = b"\0\1\x08\0"
#: neighbour solicitation and advertisement
_DISCOVERY: Final = (135, 136)
_KIND: Final = 0x17  #: of a segment: ACK, RST, SYN, FIN
_OCTETS: Final = tuple(bytes((number,)) for number in range(256))


def key_of_sections(network: bytes, transport: bytes) -> bytes | None:
    """The key of a packet, from its network and its transport header.

    None for what has none: a later fragment, an ICMP error, no IP at all.
    """
    if len(network) < 20:
        return None
    if network[0] >> 4 == 4:
        if network[7] or network[6] & 0x1F:
            return None
        protocol, head, addresses = network[9], b"\x04", network[12:20]
    elif network[0] >> 4 == 6 and len(network) == 40:
        protocol, head, addresses = network[6], b"\x06", network[8:40]
    else:
        return None
    ports = transport[:4] if protocol in _WITH_PORTS else _other_ports(protocol, transport)
    return head + _OCTETS[protocol] + addresses + ports if len(ports) == 4 else None


def _other_ports(protocol: int, transport: bytes) -> bytes:
    """The substitute for ports in a first fragment of IPv6, and in an echo; empty for anything else."""
    if protocol == _FRAGMENT_HEADER:
        return transport[:4]
    return transport[4:8] if transport and (protocol, transport[0]) in _ECHO else b""


def make_key(protocol: int, src: str, sport: int, dst: str, dport: int) -> bytes:
    """The key of a packet; of an ICMP echo, ``sport`` is the identifier and ``dport`` the number."""
    family = af_of(src)
    version = 6 if ":" in src else 4
    addresses = socket.inet_pton(family, src) + socket.inet_pton(family, dst)
    return bytes((version, protocol)) + addresses + _PORTS.pack(sport, dport)


def reverse(key: bytes) -> bytes:
    """The key of the answer."""
    size = 4 if key[0] == 4 else 16
    src, dst, ports = key[2 : 2 + size], key[2 + size : 2 + 2 * size], key[2 + 2 * size :]
    if key[1] in _WITH_PORTS:
        ports = ports[2:] + ports[:2]
    return key[:2] + dst + src + ports


@lru_cache(maxsize=1 << 10)
def packet_of(key: bytes) -> Packet:
    """A key in words."""
    (src, sport), (dst, dport) = endpoints(key)
    if key[1] not in _WITH_PORTS:
        return Packet(src, dst)
    return Packet(endpoint(src, sport), endpoint(dst, dport))


@lru_cache(maxsize=1 << 10)
def endpoints(key: bytes) -> tuple[tuple[str, int], tuple[str, int]]:
    """(source address, port), (destination address, port)."""
    end = 6 if key[0] == 4 else 18
    sport, dport = _PORTS.unpack_from(key, len(key) - 4)
    return (_address(key[2:end]), sport), (_address(key[end:-4]), dport)


@lru_cache(maxsize=1 << 12)
def _address(octets: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(octets) == 4 else socket.AF_INET6, octets)


def addresses_of(headers: Headers) -> Packet | None:
    """The bare addresses of any IP packet."""
    network = headers.network
    if len(network) >= 20 and network[0] >> 4 == 4:
        return Packet(_address(network[12:16]), _address(network[16:20]))
    if len(network) == 40:
        return Packet(_address(network[8:24]), _address(network[24:40]))
    return None


def is_fragment_header(network: bytes) -> bool:
    """Whether a network header is that of a fragment."""
    if len(network) < 20:
        return False
    if network[0] >> 4 == 4:
        return bool(network[6] & 0x3F or network[7])
    return network[6] == _FRAGMENT_HEADER


def as_fragment(key: bytes) -> bytes:
    """The key of the first fragment of an IPv6 packet, whose next header is that of a fragment."""
    return key[:1] + bytes((_FRAGMENT_HEADER,)) + key[2:]


def echo_of_fragment(headers: Headers) -> bytes | None:
    """The key of the echo that begins in a first fragment of IPv6, if it is one.

    The kernel does not report the header with the protocol, and an echo's type and code might be a port: so
    this is used only for fragments whose ports are unknown.
    """
    network, transport = headers.network, headers.transport
    if len(network) != 40 or network[6] != _FRAGMENT_HEADER or (58, transport[0]) not in _ECHO:
        return None
    return b"\x06" + _OCTETS[58] + network[8:40] + transport[4:8]


def answers(headers: Headers) -> bool:
    """Whether a packet that came back says yes: a SYN-ACK, or anything of a protocol without resets."""
    if headers.network[9 if headers.network[0] >> 4 == 4 else 6] != TCP:
        return True
    return len(headers.transport) > 13 and headers.transport[13] & 0x16 == 0x12


def is_answer(headers: Headers) -> bool:
    """Whether a TCP segment is a SYN-ACK or a RST, or an echo a reply: never the first packet of anything."""
    protocol = headers.network[9 if headers.network[0] >> 4 == 4 else 6]
    if protocol == TCP:
        return len(headers.transport) > 13 and headers.transport[13] & 0x14 != 0
    return (protocol, headers.transport[:1]) in ((1, b"\0"), (58, b"\x81"))


def icmp_error(headers: Headers) -> tuple[Icmp, bytes] | None:
    """The meaning of an ICMP error, and the key of the packet that it is about; None for any other packet.

    The kernel reports 20 octets from the ICMP header on: its eight octets, and the first twelve of the quoted
    header (length, identification and checksum of IPv4, flow label of IPv6). Together with its destination,
    this is the :func:`error_key` of the packet that it is about.
    """
    network, transport = headers.network, headers.transport
    if len(network) < 20 or len(transport) < 20:
        return None
    if network[0] >> 4 == 4:
        if network[9] != 1 or transport[0] not in _ERRORS_IPV4:
            return None
        sender, receiver = network[12:16], network[16:20]
    elif len(network) == 40:
        if network[6] != ICMP[Family.IPV6] or not 0 < transport[0] < 128:
            return None
        sender, receiver = network[8:24], network[24:40]
    else:
        return None
    return Icmp(transport[0], transport[1], _address(sender)), receiver + transport[8:20]


def error_key(headers: Headers) -> bytes:
    """What :func:`icmp_error` gives for an error about this packet."""
    network = headers.network
    sender = network[12:16] if network[:1] and network[0] >> 4 == 4 else network[8:24]
    return sender + network[:12]


def alike(one: Headers, other: Headers) -> bool:
    """Whether two packets of one conversation may be the same one, or copies of each other."""
    if one.network[9 if one.network[0] >> 4 == 4 else 6] == TCP:
        return one.transport[4:14] == other.transport[4:14]  # numbers, length and flags
    return one.transport[8:] == other.transport[8:]


def same_kind(one: Headers, other: Headers) -> bool:
    """Whether two packets of one conversation can be the same one at two hooks: no rule makes a RST of a SYN.

    A rule may rewrite sequence numbers, and clear the bits of ECN; nothing changes SYN, ACK, FIN and RST.
    """
    if one.network[9 if one.network[0] >> 4 == 4 else 6] != TCP:
        return True
    mine, others = one.transport[13:14], other.transport[13:14]
    return not mine or not others or not (mine[0] ^ others[0]) & _KIND


def identity(headers: Headers) -> bytes:
    """The part that no rewriting changes: a segment's numbers and flags, or else the beginning of the
    contents.
    """
    if len(headers.network) < 20 or not headers.transport:
        return b""
    protocol = headers.network[9 if headers.network[0] >> 4 == 4 else 6]
    part = headers.transport[4:14] if protocol == TCP else headers.transport[8:20]
    return _OCTETS[protocol] + part if part else b""


def address_octets(key: bytes) -> tuple[bytes, bytes]:
    """Both addresses of a key; of IPv6 what a search shows: the first twelve octets, and the last three."""
    if key[0] == 4:
        return key[2:6], key[6:10]
    return key[2:14] + key[15:18], key[18:30] + key[31:34]


def searched(headers: Headers) -> set[bytes]:
    """The address that an ARP or neighbour discovery packet is about, in the form of
    :func:`address_octets`.
    """
    network, transport = headers.network, headers.transport
    if network[:4] == _ARP_IPV4 and len(network) >= 28:
        return {network[14:18], network[24:28]}
    if len(network) < 40 or network[0] >> 4 != 6 or network[6] != ICMP[Family.IPV6] or len(transport) < 20:
        return set()
    if transport[0] not in _DISCOVERY:
        return set()
    # A search goes to a group that ends in the last three octets of the address, an answer comes from it.
    return {transport[8:20] + network[37:40], network[8:20] + network[21:24]}


def first_octets(headers: Headers) -> bytes:
    """The beginning of a datagram's payload: the kernel reports 20 octets from the UDP header on."""
    if len(headers.network) < 20 or headers.network[9 if headers.network[0] >> 4 == 4 else 6] != UDP:
        return b""
    return headers.transport[8:20]
