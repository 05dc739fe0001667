"""Check a scenario's firewalld settings: zones, what they let in, and direct rules.

A zone that firewalld ships keeps its settings (public lets in ssh and dhcpv6-client); the scenario's entries
are added, as by ``firewall-cmd --permanent --zone=ZONE --add-…``. Any other name is a new zone.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from netlab.firewall import arguments
from netlab.firewall.firewalld_rich import RichRule
from netlab.firewall.firewalld_services import SERVICES
from netlab.firewall.places import at
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.rules import BASE_CHAINS
from netlab.model.scenario import Firewall, JsonValue
from netlab.scenario.tree import hint
from netlab.scenario.xtables import ExtensionError, check_iptables

T = TypeVar("T")

#: Zones that firewalld ships: target and services. All of them but drop and block end in the default target.
SHIPPED: dict[str, tuple[str, tuple[str, ...]]] = {
    "block": ("%%REJECT%%", ()),
    "dmz": ("default", ("ssh",)),
    "drop": ("DROP", ()),
    "external": ("default", ("ssh",)),
    "home": ("default", ("ssh", "mdns", "samba-client", "dhcpv6-client")),
    "internal": ("default", ("ssh", "mdns", "samba-client", "dhcpv6-client")),
    "public": ("default", ("ssh", "dhcpv6-client")),
    "trusted": ("ACCEPT", ()),
    "work": ("default", ("ssh", "dhcpv6-client")),
}
#: How a scenario spells targets, and how firewalld stores them.
TARGETS = {"default": "default", "ACCEPT": "ACCEPT", "DROP": "DROP", "REJECT": "%%REJECT%%"}

#: The one helper that is a protocol's own connection tracking, and writes no rule.
_GRE = "helper=proto-gre"
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?/(tcp|udp|sctp|dccp)\Z")
_ZONE = re.compile(r"[A-Za-z0-9_/-]{1,17}\Z")
#: What becomes a word of a rule may hold nothing that makes two of it, or another rule.
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+-]{0,14}\Z", re.ASCII)
#: names of protocols(5) that Debian's file has, as far as anybody filters them
_PROTOCOLS = (
    "ah", "dccp", "egp", "eigrp", "encap", "esp", "ggp", "gre", "hip", "icmp", "igmp", "ip", "ipcomp",
    "ipencap", "ipip", "ipv6", "ipv6-frag", "ipv6-icmp", "ipv6-nonxt", "ipv6-opts", "ipv6-route", "isis",
    "l2tp", "ospf", "pim", "pup", "rsvp", "sctp", "skip", "tcp", "udp", "udplite", "vrrp",
)  # fmt: skip
_KEYS = {
    "target", "interfaces", "sources", "services", "ports", "protocols", "source_ports", "rich_rules",
    "masquerade", "forward",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Port:
    """A port or a range, with its protocol."""

    ports: str  #: ``80``, or ``8000-8010``
    protocol: str

    @property
    def iptables(self) -> str:
        """As ``--dport`` takes it."""
        return self.ports.replace("-", ":")


@dataclass(frozen=True, slots=True)
class Service:
    """A service of firewalld's, with those that it includes flattened into it."""

    name: str
    ports: tuple[Port, ...] = ()
    protocols: tuple[str, ...] = ()
    source_ports: tuple[Port, ...] = ()
    destinations: Mapping[Family, str] = field(default_factory=dict)
    helpers: tuple[str, ...] = ()

    def reaches(self, family: Family) -> bool:
        """Whether it means anything to that family: one that names a destination is for that one's only."""
        return not self.destinations or family in self.destinations


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone: which packets are its, and what becomes of them."""

    name: str
    target: str = "default"
    interfaces: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    services: tuple[Service, ...] = ()
    ports: tuple[Port, ...] = ()
    protocols: tuple[str, ...] = ()
    source_ports: tuple[Port, ...] = ()
    rich_rules: tuple[RichRule, ...] = ()
    masquerade: bool = False
    forward: bool = True


@dataclass(frozen=True, slots=True)
class DirectRule:
    """``firewall-cmd --direct --add-rule FAMILY TABLE CHAIN PRIORITY ARGS``."""

    family: Family
    table: str
    chain: str
    priority: int
    args: tuple[str, ...]
    path: str  #: among the firewall's options: ``direct.0``


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that the scenario says."""

    default_zone: str
    zones: Mapping[str, Zone]
    direct: tuple[DirectRule, ...]

    def used(self) -> tuple[Zone, ...]:
        """The zones that some packet may be of: the default one, and those with interfaces or sources.

        Raises UsageError for one of them that lets in a service which is not reproduced.
        """
        found = [z for z in self.zones.values() if z.name == self.default_zone or z.interfaces or z.sources]
        for used in (s for zone in found for s in zone.services if s.helpers):
            helpers = " and ".join(used.helpers)
            raise refuse(f"service {used.name} is not reproduced: it tracks connections with {helpers}")
        return tuple(found)


def refuse(what: str) -> UsageError:
    """The error of something that is not reproduced."""
    return UsageError(f"firewall: firewalld: {what}")


def read(firewall: Firewall) -> Config:
    """Check and complete the scenario's settings; raises UsageError with the error, at its place if known."""
    options = firewall.options
    wished = options.get("zones")
    if wished is not None and not isinstance(wished, dict):
        raise refuse("zones is a mapping of zones by name")
    zones = {name: _zone(name, {}, firewall) for name in SHIPPED}
    for name, said in (wished or {}).items():
        with at(firewall, f"zones.{name}"):
            if not _ZONE.match(name):
                raise refuse(f"{name!r} is not a zone name: at most 17 letters, digits, _, - or /")
            if said is not None and not isinstance(said, dict):
                raise refuse(f"zone {name}: a mapping is expected")
            zones[name] = _zone(name, said or {}, firewall)
    default = options.get("default_zone", "public")
    if default not in zones:
        with at(firewall, "default_zone"):
            raise refuse(f"there is no zone {default!r} for default_zone{hint(str(default), zones)}")
    with at(firewall, "zones"):
        _once(zones)
    return Config(str(default), zones, tuple(_direct(firewall)))


def _once(zones: Mapping[str, Zone]) -> None:
    seen: dict[str, str] = {}
    for zone in zones.values():
        for name in (*zone.interfaces, *zone.sources):
            if seen.setdefault(name, zone.name) != zone.name:
                raise refuse(f"{name} is in zone {seen[name]} and in zone {zone.name}: it can be in one only")


def _zone(name: str, said: Mapping[str, JsonValue], firewall: Firewall) -> Zone:
    unknown = sorted(set(said) - _KEYS)
    if unknown:
        raise refuse(f"zone {name}: {', '.join(unknown)} is not reproduced, only {', '.join(sorted(_KEYS))}")

    def each(key: str, read: Callable[[str], T], first: Sequence[T] = ()) -> tuple[T, ...]:
        """The entries of a list, each read and once, after the ``first``."""
        found = list(first)
        for number, word in enumerate(_words(name, said, key)):
            with at(firewall, f"zones.{name}.{key}.{number}"):
                found.append(read(word))
        return tuple(dict.fromkeys(found))

    target, services = SHIPPED.get(name, ("default", ()))
    if "target" in said:
        if said["target"] not in TARGETS:
            raise refuse(f"zone {name}: target is one of {', '.join(TARGETS)}, not {said['target']!r}")
        target = TARGETS[str(said["target"])]
    return Zone(
        name=name,
        target=target,
        interfaces=each("interfaces", _interface),
        sources=each("sources", _source),
        services=tuple(service(one) for one in each("services", _known_service, services)),
        ports=each("ports", port),
        protocols=each("protocols", protocol),
        source_ports=each("source_ports", port),
        rich_rules=tuple(map(RichRule.parse, each("rich_rules", _known_rich))),
        masquerade=_flag(name, said, "masquerade", default=name == "external"),
        forward=_flag(name, said, "forward", default=name in SHIPPED),
    )


def _interface(text: str) -> str:
    if not _INTERFACE.match(text):
        raise refuse(f"{text!r} is not the name of an interface")
    return text


def _source(text: str) -> str:
    arguments.network(Family.of(text), text)
    return text


def protocol(text: str) -> str:
    """The name or number of a protocol; raises UsageError."""
    known = text in _PROTOCOLS or (text.isascii() and text.isdecimal() and int(text) < 256)
    if not known:
        raise refuse(f"{text!r} is not the name of a protocol{hint(text, _PROTOCOLS)}")
    return text


def _known_service(name: str) -> str:
    service(name)
    return name


def _known_rich(text: str) -> str:
    found = RichRule.parse(text)
    said = found.attributes
    if found.element == "service":
        service(said["name"])
    elif found.element in ("port", "source-port"):
        port(f"{said['port']}/{said['protocol']}")
    elif found.element == "protocol":
        protocol(said["value"])
    for address in (found.source, found.destination):
        if address is not None and found.family is not None:
            arguments.network(found.family, address.text)
    return text


def _words(zone: str, said: Mapping[str, JsonValue], key: str) -> tuple[str, ...]:
    value = said.get(key)
    if value is None:
        return ()
    entries = value if isinstance(value, list) else [value]
    if any(isinstance(entry, list | dict | bool) or entry is None for entry in entries):
        raise refuse(f"zone {zone}: {key} is a list of words")
    return tuple(str(entry) for entry in entries)


def _flag(zone: str, said: Mapping[str, JsonValue], key: str, default: bool) -> bool:
    value = said.get(key, default)
    if not isinstance(value, bool):
        raise refuse(f"zone {zone}: {key} is true or false")
    return value


def port(text: str) -> Port:
    """``80/tcp`` or ``8000-8010/udp``; raises UsageError."""
    match = _PORT.match(text)
    if not match or not 0 < int(match[1]) <= int(match[2] or match[1]) <= 65535:
        raise refuse(f"{text!r} is not a port: write 80/tcp or 8000-8010/udp")
    return Port(f"{match[1]}-{match[2]}" if match[2] else match[1], match[3])


def service(name: str) -> Service:
    """A service by its name, with what it includes; raises UsageError for an unknown one."""
    words = list(_included(name, ()))
    ports = [port(word) for word in words if "=" not in word]
    return Service(
        name,
        tuple(ports),
        tuple(word[6:] for word in words if word.startswith("proto=")),
        tuple(port(word[5:]) for word in words if word.startswith("from=")),
        {family: word[5:] for family in FAMILIES for word in words if word.startswith(f"{family.word}=")},
        tuple(word[7:] for word in words if word.startswith("helper=") and word != _GRE),
    )


def _included(name: str, within: tuple[str, ...]) -> Iterator[str]:
    if name not in SERVICES:
        raise refuse(f"there is no service {name!r} in firewalld 1.3.3")
    for word in SERVICES[name]:
        if not word.startswith("include="):
            yield word
        elif word[8:] not in within:
            yield from _included(word[8:], (*within, name))


def _direct(firewall: Firewall) -> Iterator[DirectRule]:
    value, path = firewall.options.get("direct"), "direct"
    if value is None:
        return
    if isinstance(value, dict):
        if set(value) != {"rules"}:
            raise refuse("direct: a list of rules, or a mapping with rules alone, is reproduced")
        value, path = value["rules"], "direct.rules"
    if not isinstance(value, list):
        raise refuse("direct is a list of rules")
    for number, entry in enumerate(value):
        with at(firewall, f"{path}.{number}"):
            yield _direct_rule(entry, f"{path}.{number}")


def _direct_rule(entry: JsonValue, path: str) -> DirectRule:
    """``ipv6 filter INPUT 0 -p tcp --dport 80 -j ACCEPT``: the words after ``--direct --add-rule``."""
    try:
        words = shlex.split(entry) if isinstance(entry, str) else []
    except ValueError as error:
        raise refuse(f"direct rule {entry!r}: {str(error).lower()}") from None
    if len(words) < 6 or words[0] not in ("ipv4", "ipv6") or not re.match(r"-?\d+\Z", words[3]):
        raise refuse(
            f"direct rule {entry!r}: write FAMILY TABLE CHAIN PRIORITY ARGUMENTS, "
            "such as ipv6 filter INPUT 0 -p tcp --dport 80 -j ACCEPT"
        )
    family = next(f for f in FAMILIES if f.word == words[0])
    table, chain = words[1], words[2]
    if chain not in BASE_CHAINS.get(table, ()) or (table, chain) == ("nat", "INPUT"):
        raise refuse(f"direct rule {entry!r}: there is no chain {chain} of table {table} for direct rules")
    try:
        check_iptables(words[4:], (), int(family), (table, chain))
    except ExtensionError as error:
        raise refuse(f"direct rule {entry!r}: {error}") from None
    return DirectRule(family, table, chain, int(words[3]), tuple(words[4:]), path)
