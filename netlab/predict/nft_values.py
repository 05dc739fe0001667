"""Selectors and values of nftables' expressions: which field of a packet, and which numbers or names."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from netlab.model.family import Family
from netlab.model.services import SERVICES
from netlab.predict.nft_tokens import Tokens, family_of
from netlab.predict.rules import CT_STATES, CT_STATUS, Condition, In, Named
from netlab.predict.syntax import PROTOCOLS
from netlab.predict.xt_matches import ICMP_TYPES

TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}
_PACKET_TYPES = {"host": 0, "unicast": 0, "broadcast": 1, "multicast": 2, "other": 3}
_ETHER_TYPES = {"ip": 0x0800, "ip6": 0x86DD, "arp": 0x0806, "vlan": 0x8100, "8021q": 0x8100}
FIB_TYPES = {
    name: number
    for number, name in enumerate(
        (
            "unspec",
            "unicast",
            "local",
            "broadcast",
            "anycast",
            "multicast",
            "blackhole",
            "unreachable",
            "prohibit",
        )
    )
}
_DIRECTIONS = {"original": 0, "reply": 1}
#: the fields whose values are bits, of which one in common is a match
BITS: Mapping[str, Mapping[str, int]] = {"ctstate": CT_STATES, "ctstatus": CT_STATUS, "tcpflags": TCP_FLAGS}


@dataclass(frozen=True, slots=True)
class Selector:
    """A field, what kind its values are of, and the conditions that nft adds by itself for it.

    An empty ``field`` is one that the first packet does not determine; ``what`` names it.
    """

    field: str
    kind: str
    needs: tuple[Condition, ...] = ()
    family: Family = Family.IPV4
    what: str = ""


def _only(field: str, value: int) -> In:
    return In(field, ((value, value),))


_META = {
    "iifname": ("iifname", "name"), "oifname": ("oifname", "name"), "iif": ("iifname", "name"),
    "oif": ("oifname", "name"), "ibrname": ("iifname", "name"), "obrname": ("oifname", "name"),
    "l4proto": ("l4proto", "protocol"), "nfproto": ("nfproto", "nfproto"),
    "protocol": ("ethertype", "ethertype"),
    "mark": ("mark", "number"), "pkttype": ("pkttype", "pkttype"), "length": ("length", "number"),
}  # fmt: skip
_CT = {
    "state": ("ctstate", "ctstate"), "status": ("ctstatus", "ctstatus"), "mark": ("ctmark", "number"),
    "direction": ("ctdir", "direction"), "protocol": ("ctproto", "protocol"),
    "l3proto": ("nfproto", "nfproto"),
}  # fmt: skip
_IP = {
    "saddr": ("saddr", "address"), "daddr": ("daddr", "address"), "protocol": ("l4proto", "protocol"),
    "nexthdr": ("l4proto", "protocol"), "ttl": ("ttl", "number"), "hoplimit": ("ttl", "number"),
    "length": ("length", "number"), "dscp": ("dscp", "number"),
}  # fmt: skip
_PORTS = ("tcp", "udp", "sctp", "udplite", "dccp", "th")


def selector(tokens: Tokens) -> Selector | None:
    """The selector that comes next; None if something else does, which is then still to be read."""
    word = tokens.next
    if word in ("iifname", "oifname", "iif", "oif", "ibrname", "obrname", "mark", "l4proto", "nfproto") or (
        word == "meta" and tokens.take()
    ):
        name = tokens.take()
        known = _META.get(name)
        return Selector(*known) if known else Selector("", "number", what=f"meta {name}")
    if word in ("ip", "ip6") and (
        tokens.ahead in _IP or tokens.ahead in ("version", "id", "frag-off", "checksum")
    ):
        tokens.take()
        name, family = tokens.take(), family_of(word)
        needs = (_only("nfproto", family.value),)
        known = _IP.get(name)
        if known is None:
            return Selector("", "number", needs, what=f"{word} {name}")
        return Selector(*known, needs, family)
    if word in _PORTS and tokens.ahead in ("sport", "dport", "flags"):
        tokens.take()
        name = tokens.take()
        wants: tuple[Condition, ...] = () if word == "th" else (_only("l4proto", PROTOCOLS[word]),)
        if name == "flags":
            return Selector("tcpflags", "tcpflags", wants)
        return Selector(name, "port", wants)
    if word in ("icmp", "icmpv6") and tokens.ahead in ("type", "code"):
        tokens.take()
        family = family_of(word)
        needs = (_only("l4proto", PROTOCOLS[word]),)
        name = tokens.take()
        return Selector(f"icmp{name}", f"icmp{name}", needs, family)
    if word == "ct":
        return _ct(tokens)
    if word == "ether" and tokens.ahead in ("saddr", "daddr", "type"):
        tokens.take()
        name = tokens.take()
        return {
            "saddr": Selector("mac", "mac"),
            "type": Selector("ethertype", "ethertype"),
            "daddr": Selector("macdst", "mac"),
        }[name]
    return None


def _ct(tokens: Tokens) -> Selector | None:
    start = tokens.at
    tokens.take("ct")
    direction = tokens.take() if tokens.next in _DIRECTIONS else ""
    family = family_of(tokens.take()) if direction and tokens.next in ("ip", "ip6") else Family.IPV4
    name = tokens.take()
    if direction and name in ("saddr", "daddr", "proto-src", "proto-dst"):
        ends = {"saddr": "src", "daddr": "dst", "proto-src": "sport", "proto-dst": "dport"}
        prefix = "ctorig" if direction == "original" else "ctrepl"
        return Selector(
            f"{prefix}{ends[name]}", "port" if name.startswith("proto") else "address", (), family
        )
    if tokens.next in ("set", "over") or name in ("count", "timeout", "expectation"):
        tokens.at = start
        return None
    known = _CT.get(name)
    return Selector(*known) if known else Selector("", "number", what=f"ct {name}")


def value(kind: str, family: Family, tokens: Tokens) -> Named | tuple[int, int]:
    """One value of a kind: a name, or a range of numbers; raises ScenarioError."""
    if kind == "name":
        name = tokens.take()
        return Named("", name.removesuffix("*"), name.endswith("*"))
    text = tokens.next
    if kind == "address":
        return _addresses(tokens)
    if re.match(r"[0-9a-fx]+-", text) and kind != "mac":
        first, _, last = text.partition("-")
        low, high = _number(kind, family, first, tokens), _number(kind, family, last, tokens)
        tokens.take()
        return low, high
    number = _number(kind, family, text, tokens)
    tokens.take()
    return number, number


def _addresses(tokens: Tokens) -> tuple[int, int]:
    """``192.0.2.1``, ``192.0.2.0/24``, ``192.0.2.1-192.0.2.9``."""
    first, dash, last = tokens.next.partition("-")
    try:
        if dash:
            found = int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last))
        else:
            network = ipaddress.ip_network(first, strict=False)
            found = int(network.network_address), int(network.broadcast_address)
    except ValueError:
        tokens.wrong(f"{tokens.next!r} is not an address")
    tokens.take()
    return found


def _number(kind: str, family: Family, text: str, tokens: Tokens) -> int:
    """A number, or the name of one in the lists of its kind."""
    names: Mapping[str, int] = {
        "port": SERVICES, "protocol": PROTOCOLS, "nfproto": {"ipv4": 4, "ipv6": 6}, "pkttype": _PACKET_TYPES,
        "ethertype": _ETHER_TYPES, "direction": _DIRECTIONS, "fibtype": FIB_TYPES, "ctstate": CT_STATES,
        "ctstatus": CT_STATUS, "tcpflags": TCP_FLAGS,
    }.get(kind, {})  # fmt: skip
    if kind == "icmptype" and text in ICMP_TYPES[family]:
        return ICMP_TYPES[family][text][0]
    if text in names:
        return names[text]
    if kind == "mac":
        text = "0x" + text.replace(":", "")
    try:
        return int(text) if text.isdecimal() else int(text, 0)
    except ValueError:
        what = f"; expected a number or one of {', '.join(sorted(names))}" if names else ""
        tokens.wrong(f"{tokens.next!r} is not a value here{what}")
