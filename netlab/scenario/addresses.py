"""Check addresses, subnets, MAC addresses and interface names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import TypeVar

from netlab.model.family import Address, Network
from netlab.scenario.tree import Value, shown

T = TypeVar("T")

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-])(?:[0-9a-fA-F]{2}\1){4}[0-9a-fA-F]{2}", re.ASCII)
#: IFNAMSIZ of linux/if.h is 16, the NUL included
INTERFACE_LENGTH = 15
#: names that are taken in every network namespace
RESERVED = {
    "lo": "it is the loopback interface",
    "all": "it means all interfaces in /proc/sys/net",
    "default": "it means later interfaces in /proc/sys/net",
}


def address(text: str) -> Address:
    """An address without scope or prefix length; raises ValueError with a text for the user."""
    try:
        if "%" in text:
            raise ValueError
        return ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not an IP address") from None


def parsed_text(read: Callable[[str], T], text: str) -> T | None:
    """The result of ``read``; None if the text is wrong, which was reported before."""
    try:
        return read(text)
    except ValueError:
        return None


def parsed(read: Callable[[str], T], value: Value | None) -> T | None:
    """The same for a value, if there is one."""
    return None if value is None else parsed_text(read, value.text)


def loose_subnet(text: str) -> Network:
    """A network in CIDR notation, without host bits that it may have; raises ValueError as :func:`subnet`."""
    if "/" not in text:
        raise ValueError(f"{shown(text)} is not a subnet: the prefix length is missing")
    try:
        if not re.search(r"/[0-9]{1,3}\Z", text, re.ASCII) or "%" in text:
            raise ValueError
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a subnet in CIDR notation") from None


def subnet(text: str) -> Network:
    """A network in CIDR notation; raises ValueError with a text for the user."""
    loose = loose_subnet(text)
    if str(loose.network_address) != str(ipaddress.ip_address(text.partition("/")[0])):
        raise ValueError(f'{shown(text)} has bits set after the prefix (did you mean "{loose}"?)')
    return loose


def interface_address(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    """An address with its prefix length; raises ValueError with a text for the user."""
    if "/" not in text:
        raise ValueError(f"{shown(text)}: the prefix length is missing, as in 198.51.100.1/24")
    try:
        if not re.search(r"/[0-9]{1,3}\Z", text, re.ASCII) or "%" in text:
            raise ValueError
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not an address with a prefix length") from None
    wrong = unfit(found.ip)
    if wrong:
        raise ValueError(f"{shown(text)} {wrong}")
    return found


def unfit(found: Address) -> str | None:
    """Why no interface but lo can have an address; None if one can (inet_insert_ifa, ipv6_add_addr)."""
    if found.is_unspecified:
        return "is not the address of an interface: it means all addresses"
    if found.is_multicast:
        return "is a multicast address, which no interface can have"
    if found.is_loopback:
        return "is a loopback address, which only lo has"
    if str(found) == "255.255.255.255":
        return "is the broadcast address, which no interface can have"
    return None


def wrong_mac(text: str) -> str | None:
    """What is wrong with a MAC address; None if nothing is."""
    if not _MAC.fullmatch(text):
        return f"{shown(text)} is not a MAC address"
    if int(text[:2], 16) & 1:
        return f"{shown(text)} is a multicast address, which no interface can have"
    if not int(re.sub("[:-]", "", text), 16):
        return f"{shown(text)} is not the MAC address of an interface"
    return None


def wrong_interface(text: str) -> str | None:
    """What is wrong with the name of an interface (dev_valid_name() of the kernel's net/core/dev.c).

    A ``%`` is a pattern to the kernel, which makes br0 of br%d. The kernel takes more characters than are
    allowed here: a name becomes a word of rules, where quotes, semicolons or braces would begin another one.
    """
    if not text:
        return "the name of an interface cannot be empty"
    if len(text.encode()) > INTERFACE_LENGTH:
        return f"{shown(text)} is longer than the {INTERFACE_LENGTH} characters of an interface's name"
    if text in (".", "..") or re.search(r"[/:%\s]", text) or not text.isprintable():
        return f"{shown(text)} is not a valid name of an interface"
    other = next((char for char in text if not char.isalnum() and char not in "_.@+=-"), "")
    if other or text.startswith("-"):
        return f"{shown(text)} is not a name that a rule can contain: {shown(other or '-')} is not allowed"
    if text in RESERVED:
        return f"no interface can be named {shown(text)}: {RESERVED[text]}"
    return None
