"""Boxes and fates in words."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Literal

from netlab.exposure.boxes import Box
from netlab.exposure.diagrams import PROTOCOLS, Ranges
from netlab.exposure.fate import Fate
from netlab.exposure.lines import Region
from netlab.model.family import Family
from netlab.predict.packet import address_text

if TYPE_CHECKING:
    from netlab.exposure.documents import BoxDocument

_ALL_WITH_PORTS = ("tcp", "udp", "sctp")
_ADDRESSES: Final[tuple[Literal["dst", "src"], ...]] = ("dst", "src")
_PORTS: Final[tuple[Literal["dport", "sport"], ...]] = ("dport", "sport")


def box_text(box: Box, family: Family, most: int = 8) -> str:
    """``tcp 80, 443 to 198.51.100.1``; of a long list the first ``most`` values."""
    words = [_protocols(box)]
    if "dport" in box:
        words.append(_list((_range(low, high) for low, high in box["dport"]), most))
    for field, word in (("dst", "to"), ("src", "from")):
        if field in box:
            words.append(f"{word} {_list(networks(box[field], family), most)}")
    if "sport" in box:
        words.append(f"from port {_list((_range(low, high) for low, high in box['sport']), most)}")
    return " ".join(word for word in words if word) or "every packet"


def left_text(box: Box | None, family: Family) -> str:
    """The packets of a line; without a box, those of no other one."""
    return "everything else" if box is None else box_text(box, family)


def rules_text(region: Region) -> str:
    """The rules that let the packets of a region through: `` (rule -A DOCKER …)``; empty if there is none."""
    rules = list(dict.fromkeys(name.text for name in region.accepted))
    if not region.fate.open or not rules:
        return ""
    more = f" and {len(rules) - 1} more" if len(rules) > 1 else ""
    return f" (rule {rules[0]}{more})"


def box_json(box: Box, family: Family) -> BoxDocument:
    """A box for programs: protocols, networks and ports as text; a field that is free is left out."""
    found: BoxDocument = {"protocol": list(protocols(box))}
    for address in _ADDRESSES:
        if address in box:
            found[address] = list(networks(box[address], family))
    for port in _PORTS:
        if port in box:
            found[port] = [_range(low, high) for low, high in box[port]]
    return found


def protocols(box: Box) -> tuple[str, ...]:
    """The protocols of a box."""
    ranges = box.get("protocol", ((0, len(PROTOCOLS) - 1),))
    return tuple(PROTOCOLS[number] for low, high in ranges for number in range(low, high + 1))


def _protocols(box: Box) -> str:
    found = protocols(box)
    ports = "dport" in box or "sport" in box
    if ports:
        found = tuple(name for name in found if name != "icmp")
    if len(found) == len(PROTOCOLS):
        return ""
    if ports and found == _ALL_WITH_PORTS:
        return "port" if "dport" in box else ""
    return ", ".join("icmp echo" if name == "icmp" else name for name in found)


def _list(words: Iterable[str], most: int) -> str:
    found = list(words)
    if len(found) <= most + 1:
        return ", ".join(found)
    return f"{', '.join(found[:most])} and {len(found) - most} more"


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"


def networks(ranges: Ranges, family: Family) -> Iterator[str]:
    """Ranges of addresses: single ones, networks, and first to last where neither fits."""
    for low, high in ranges:
        if low == high:
            yield address_text(family, low)
            continue
        size = (high - low + 1).bit_length() - 1
        if high - low + 1 == 1 << size and not low & (1 << size) - 1:
            yield f"{ipaddress.ip_address(address_text(family, low))}/{family.bits - size}"
        else:
            yield f"{address_text(family, low)}-{address_text(family, high)}"


def fate_text(fate: Fate) -> str:
    """``httpd, forward, client's address kept``; ``dropped by the policy of FORWARD``."""
    if fate.word == "reaches":
        return _taken(fate)
    if fate.word == "closed":
        who = fate.proxy or fate.service or fate.node
        return f"{who} of {fate.node} takes it and no data comes back"
    if fate.word == "refused":
        return f"{fate.node}, where nothing listens"
    if fate.word in ("dropped", "rejected"):
        return f"{fate.word} by {_by(fate)}"
    if fate.word == "unroutable":
        return f"an ICMP error from {fate.node}: {fate.why}"
    if fate.word == "lost":
        where = f" at {fate.node}" if fate.node else ""
        return f"lost{where}: {fate.why}"
    if fate.word == "no-route":
        return f"does not leave {fate.node}: {fate.why}"
    return f"not known: {fate.why}" if fate.word == "unknown" else fate.why


def _taken(fate: Fate) -> str:
    port = f":{fate.port}" if fate.port is not None else ""
    who = fate.service if fate.service and fate.service != fate.node else fate.node
    words = [f"{who}{port}" if not fate.proxy else f"{fate.proxy}, then {who}{port}"]
    if fate.path not in ("none", "inside", "proxy"):
        words.append(fate.path)
    words.append("sender's address kept" if fate.sees is None else f"which sees {fate.sees}")
    return ", ".join(words)


def _by(fate: Fate) -> str:
    assert fate.by is not None
    _, _, chain, rule = fate.by
    return rule or f"the policy of {chain}"
