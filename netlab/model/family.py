"""The address family as a value, so that IPv4 and IPv6 are never two copies of one function."""

from __future__ import annotations

import enum
import ipaddress
from functools import cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: the smallest MTU with which the kernel leaves IPv6 on an interface (RFC 8200, section 5; addrconf_notify)
IPV6_MIN_MTU = 1280


class Family(enum.IntEnum):
    """IPv4 or IPv6, with the word that each tool uses for it."""

    IPV4 = 4
    IPV6 = 6

    @property
    def word(self) -> str:
        """``ipv4`` or ``ipv6``: the key in scenarios and in JSON."""
        return f"ipv{self.value}"

    @property
    def nft(self) -> str:
        """``ip`` or ``ip6``: the family of an nftables table."""
        return "ip" if self is Family.IPV4 else "ip6"

    @property
    def iptables(self) -> str:
        """``iptables`` or ``ip6tables``: the program (and the stem of its -save and -restore)."""
        return "iptables" if self is Family.IPV4 else "ip6tables"

    @property
    def bits(self) -> int:
        """The length of an address in bits: 32 or 128."""
        return 32 if self is Family.IPV4 else 128

    @property
    def af(self) -> int:
        """AF_INET or AF_INET6, as Linux numbers them."""
        return 2 if self is Family.IPV4 else 10

    @property
    def any(self) -> str:
        """The wildcard address: ``0.0.0.0`` or ``::``."""
        return "0.0.0.0" if self is Family.IPV4 else "::"

    @property
    def loopback(self) -> str:
        """``127.0.0.1`` or ``::1``."""
        return "127.0.0.1" if self is Family.IPV4 else "::1"

    @classmethod
    def of(cls, address: str) -> Family:
        """The family of an address, with or without a ``/prefix``."""
        return cls.IPV6 if ":" in address else cls.IPV4


FAMILIES = (Family.IPV4, Family.IPV6)


@cache
def parse_address(text: str) -> Address:
    """An address object for ``text``; raises ValueError as :mod:`ipaddress` does."""
    return ipaddress.ip_address(text)


def af_of(address: str) -> int:
    """AF_INET or AF_INET6 of an address; as :attr:`Family.af`, where many messages are packed."""
    return 10 if ":" in address else 2


def bare(address: str) -> str:
    """``192.0.2.1/24`` → ``192.0.2.1``."""
    return address.partition("/")[0]


def unmapped(address: str) -> str:
    """``::ffff:192.0.2.1`` → ``192.0.2.1``: how a dual-stack socket names an IPv4 peer."""
    return address[7:] if address.startswith("::ffff:") and "." in address else address


def endpoint(address: str, port: int) -> str:
    """``192.0.2.1:80`` or ``[2001:db8::1]:80``: an address and a port as people write them."""
    return f"{bracketed(address)}:{port}"


def bracketed(address: str) -> str:
    """``192.0.2.1`` or ``[2001:db8::1]``: an address before a port, or in a URL."""
    return f"[{address}]" if ":" in address else address


def split_endpoint(text: str) -> tuple[str, str]:
    """Address and port of ``192.0.2.1:80`` or ``[2001:db8::1]:80``; an address alone has the port ``""``."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        return address, port.removeprefix(":")
    if text.count(":") == 1:
        address, _, port = text.partition(":")
        return address, port
    return text, ""
