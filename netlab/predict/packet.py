"""A packet as the model passes it from hook to hook, and its headers as a trace event would show them."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from struct import Struct
from typing import Final, TypeVar

from netlab.journey.headers import ICMP, SCTP, TCP, UDP
from netlab.model.family import Family

T = TypeVar("T")
SYN: Final = 0x02
RST: Final = 0x04
PUSH: Final = 0x08
ACK: Final = 0x10
#: (type of an echo request, of its reply)
ECHO: Final = {Family.IPV4: (8, 0), Family.IPV6: (128, 129)}
_WITH_PORTS: Final = (TCP, UDP, SCTP)
_IPV4 = Struct(">BBHHHBBHII")
_IPV6 = Struct(">IHBB")
_TRANSPORT = Struct(">HHIIBBHHH")
_ICMP = Struct(">BBHHH")
#: what the first packet of each protocol is made of, as netlab's probes send it: octets with the IP header
_LENGTHS: Final = {TCP: 60, UDP: 40, SCTP: 68}


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. Addresses are numbers; of an ICMP echo, ``sport`` is the identifier, ``dport`` the number.

    ``kind`` and ``code`` are ICMP's, ``flags`` TCP's. ``about`` is the packet that an ICMP error quotes.
    """

    family: Family
    protocol: int
    src: int
    dst: int
    sport: int = 0
    dport: int = 0
    kind: int = 0
    code: int = 0
    flags: int = 0
    mark: int = 0
    ttl: int = 64
    about: Packet | None = None

    @property
    def source(self) -> str:
        """The source address as text."""
        return address_text(self.family, self.src)

    @property
    def destination(self) -> str:
        """The destination address as text."""
        return address_text(self.family, self.dst)

    @property
    def has_ports(self) -> bool:
        """Whether its protocol has ports."""
        return self.protocol in _WITH_PORTS

    @property
    def is_icmp(self) -> bool:
        """Whether it is ICMP or ICMPv6."""
        return self.protocol == ICMP[self.family]

    @property
    def ends(self) -> tuple[int, int, int, int, int]:
        """Protocol, addresses and ports."""
        return self.protocol, self.src, self.sport, self.dst, self.dport

    @property
    def length(self) -> int:
        """The octets of the whole packet, as netlab's probes send it."""
        return _LENGTHS.get(self.protocol, 48) + (20 if self.family is Family.IPV6 else 0)

    def answer(self, flags: int = 0) -> Packet:
        """The packet that goes back, with the same protocol; ``flags`` are TCP's."""
        turned = replace(self, src=self.dst, dst=self.src, mark=0, ttl=64, flags=flags)
        if self.is_icmp:
            return replace(turned, kind=ECHO[self.family][1])
        return replace(turned, sport=self.dport, dport=self.sport)

    def error(self, src: int, kind: int, code: int) -> Packet:
        """The ICMP error about this packet, to its source."""
        return Packet(
            self.family, ICMP[self.family], src, self.src, kind=kind, code=code, about=replace(self, mark=0)
        )

    def headers(self) -> tuple[bytes, bytes]:
        """The network header, and the first octets of the transport header."""
        return _network(self.family, self.protocol, self.src, self.dst, self.length, self.ttl), _transport(
            self.is_icmp, self.sport, self.dport, self.kind, self.code, self.flags
        )


@lru_cache(maxsize=1 << 12)
def _network(family: Family, protocol: int, src: int, dst: int, length: int, ttl: int) -> bytes:
    if family is Family.IPV4:
        return _IPV4.pack(0x45, 0, length, 0, 0x4000, ttl, protocol, 0, src, dst)
    head = _IPV6.pack(6 << 28, length - 40, protocol, ttl)
    return head + src.to_bytes(16, "big") + dst.to_bytes(16, "big")


@lru_cache(maxsize=1 << 12)
def _transport(icmp: bool, sport: int, dport: int, kind: int, code: int, flags: int) -> bytes:
    if icmp:
        return _ICMP.pack(kind, code, 0, sport, dport) + bytes(12)
    return _TRANSPORT.pack(sport, dport, 0, 0, 0x50, flags, 0, 0, 0)


def look_up(table: Mapping[int, T], number: int) -> T | None:
    """The value of a table at a number, which need not be known (see :mod:`netlab.exposure.bits`)."""
    if isinstance(number, int):
        return table.get(number)
    found: T | None = number.look_up(table)
    return found


def one_answer(key: Hashable, code: Callable[[], T], *numbers: int) -> T:
    """What ``code`` returns, which looks at these numbers; they need not be known.

    ``key``: everything else that ``code`` looks at. For numbers that are not known, ``code`` is asked about
    all of them at once, and what it returns must be hashable.
    """
    for number in numbers:
        if not isinstance(number, int):
            found: T = number.one_answer((key, *(getattr(one, "bits", one) for one in numbers)), code)
            return found
    return code()


def address_text(family: Family, number: int) -> str:
    """An address as people write it; of a number that is not known, its name."""
    return _text(family, number) if isinstance(number, int) else str(number)


@lru_cache(maxsize=1 << 12)
def _text(family: Family, number: int) -> str:
    if family is Family.IPV4:
        return str(ipaddress.IPv4Address(number))
    return str(ipaddress.IPv6Address(number))


@lru_cache(maxsize=1 << 12)
def address_number(text: str) -> int:
    """An address as a number, without its prefix length or scope; raises ValueError."""
    return int(ipaddress.ip_address(text.partition("/")[0].partition("%")[0]))
