"""What firewalld 1.3 writes with any backend: zones, policies, and the chains between them.

Every packet belongs to one zone, by its source address or its interface, or else to the default zone. A
zone's chain jumps to the policies that come before zones, then to its own _pre, _log, _deny, _allow and
_post, then to the policies that come after zones, and ends in the zone's target. Source: firewalld 1.3.3
(core/fw_zone.py, core/fw_policy.py) and from what it writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from netlab.firewall.firewalld_config import Config, Port, Service, Zone, port, service
from netlab.firewall.firewalld_rich import Address, RichRule
from netlab.model.family import Family
from netlab.model.plan import FirewalldZone

#: The chains to which a zone's or a policy's chain jumps.
PARTS = ("pre", "log", "deny", "allow", "post")

#: The policy that firewalld ships.
HOST_POLICY = "allow-host-ipv6"
#: ICMPv6 types that it accepts, in its order: nft's name, number, what it is.
HOST_ICMP = (
    ("nd-neighbor-advert", 136, "neighbour advertisements"),
    ("nd-neighbor-solicit", 135, "neighbour solicitations"),
    ("nd-router-advert", 134, "router advertisements"),
    ("nd-redirect", 137, "redirects"),
)


@dataclass(frozen=True, slots=True)
class Hook:
    """A chain that dispatches by zone."""

    table: str
    base: str  #: INPUT
    prefix: str  #: IN: of the zones' chains
    out: bool = False  #: the interface and the address are those that the packet leaves for


FORWARD = Hook("filter", "FORWARD", "FWD")
INPUT = Hook("filter", "INPUT", "IN")
POSTROUTING = Hook("nat", "POSTROUTING", "POST", out=True)
HOOKS = (
    INPUT,
    FORWARD,
    Hook("nat", "PREROUTING", "PRE"),
    POSTROUTING,
    Hook("mangle", "PREROUTING", "PRE"),
)


@dataclass(frozen=True, slots=True)
class Match:
    """The conditions of a rule; an empty one always holds."""

    family: Family | None = None
    source: Address | None = None
    destination: Address | None = None
    dport: Port | None = None
    sport: Port | None = None
    protocol: str = ""
    interface: str = ""
    out: bool = False  #: the interface is the one that the packet leaves by


class Sheet(Protocol):
    """A backend's page to write on; a rule that means nothing to its family it leaves out."""

    hooks: tuple[Hook, ...]
    #: the part between a table's prefix and the name of a policy's chain
    policy: str

    def make(self, table: str, *chains: str) -> None:
        """New chains."""

    def jump(self, table: str, chain: str, to: str, reason: str) -> None:
        """Ask another chain, and come back."""

    def goto(self, table: str, chain: str, to: str, match: Match, reason: str) -> None:
        """Ask another chain, for good."""

    def dispatch(self, table: str, chain: str, to: str, interfaces: Iterable[str], reason: str) -> None:
        """Ask another chain for what leaves by these interfaces."""

    def verdict(self, table: str, chain: str, match: Match, verdict: str, reason: str, limit: str) -> None:
        """``accept``, ``drop``, ``masquerade``, or ``reject`` with its type after a space."""

    def log(self, table: str, chain: str, match: Match, rule: RichRule, reason: str) -> None:
        """A rich rule's log."""

    def target(self, chain: str, target: str, reason: str) -> None:
        """The last rule of a zone's or policy's chain of table filter."""

    def icmp(self, chain: str, reason: str) -> None:
        """ICMP of both families is accepted."""

    def host_icmp(self, chain: str) -> None:
        """What :data:`HOST_ICMP` lists is accepted."""


def with_zone(config: Config, engine: FirewalldZone) -> Config:
    """The configuration once the engine has put its bridges into its zone, which is made if it is missing."""
    zone = config.zones.get(engine.name) or Zone(engine.name, target="ACCEPT", forward=True)
    zone = replace(zone, interfaces=(*zone.interfaces, *engine.bridges))
    return replace(config, zones={**config.zones, engine.name: zone})


def write(sheet: Sheet, config: Config, engine: FirewalldZone) -> None:
    """Everything below the base chains, with the engine's zone."""
    for hook in sheet.hooks:
        sheet.make(
            hook.table, *(f"{hook.base}_{part}" for part in ("POLICIES_pre", "ZONES", "POLICIES_post"))
        )
    late = with_zone(config, engine) if engine.bridges else config
    used = late.used()
    for zone in used:
        for hook in sheet.hooks:
            _zone_chain(sheet, hook, zone)
        _let_in(sheet, zone)
    _dispatch(sheet, late, used, set(engine.bridges))
    _forward_within(sheet, used)
    _host_policy(sheet)
    if engine.policy and engine.bridges:
        _forward_policy(sheet, engine.policy, late.zones[engine.name])


# -- zones


def _zone_chain(sheet: Sheet, hook: Hook, zone: Zone) -> None:
    name, why = f"{hook.prefix}_{zone.name}", f"zone {zone.name}"
    sheet.make(hook.table, name, *(f"{name}_{part}" for part in PARTS))
    sheet.jump(hook.table, name, f"{hook.base}_POLICIES_pre", f"{why}: policies that come before zones")
    for part in PARTS:
        sheet.jump(hook.table, name, f"{name}_{part}", f"{why}: its rules to {part}")
    sheet.jump(hook.table, name, f"{hook.base}_POLICIES_post", f"{why}: policies that come after zones")
    if hook.table == "filter":
        if hook == INPUT and zone.target == "default":
            sheet.icmp(name, f"{why}: ICMP")
        sheet.target(name, zone.target, f"{why}: its target")


def _dispatch(sheet: Sheet, config: Config, used: Iterable[Zone], bridges: set[str]) -> None:
    by_name = sorted(used, key=lambda zone: zone.name)
    own = [(name, zone) for zone in by_name for name in zone.interfaces if name not in bridges]
    late = [(name, zone) for zone in by_name for name in zone.interfaces if name in bridges]
    default = config.zones[config.default_zone]
    for hook in sheet.hooks:
        chain = f"{hook.base}_ZONES"
        for zone in by_name:
            for source in zone.sources:
                address = Address(source)
                match = Match(destination=address) if hook.out else Match(source=address)
                why = f"{source} is in zone {zone.name}"
                sheet.goto(hook.table, chain, f"{hook.prefix}_{zone.name}", match, why)
        for name, zone in reversed(own + late):
            match = Match(interface=name, out=hook.out)
            why = f"{name} is in zone {zone.name}"
            sheet.goto(hook.table, chain, f"{hook.prefix}_{zone.name}", match, why)
        why = f"every other interface is in zone {default.name} (default)"
        sheet.goto(hook.table, chain, f"{hook.prefix}_{default.name}", Match(), why)


def _forward_within(sheet: Sheet, used: Iterable[Zone]) -> None:
    for zone in used:
        if zone.forward:
            chain, why = f"FWD_{zone.name}_allow", f"zone {zone.name}: forwarding within the zone"
            for name in zone.interfaces:
                sheet.verdict("filter", chain, Match(interface=name, out=True), "accept", why, "")
            for source in zone.sources:
                sheet.verdict("filter", chain, Match(destination=Address(source)), "accept", why, "")


# -- what a zone lets in


def _let_in(sheet: Sheet, zone: Zone) -> None:
    why, chain = f"zone {zone.name}: ", f"IN_{zone.name}"
    for allowed in zone.services:
        for match in of_service(allowed):
            sheet.verdict("filter", f"{chain}_allow", match, "accept", f"{why}service {allowed.name}", "")
    for single in zone.ports:
        reason = f"{why}port {single.ports}/{single.protocol}"
        sheet.verdict("filter", f"{chain}_allow", Match(dport=single), "accept", reason, "")
    if zone.masquerade:
        match = Match(family=Family.IPV4, interface="lo", out=True)
        sheet.verdict("nat", f"POST_{zone.name}_allow", match, "masquerade", f"{why}masquerade", "")
    for single in zone.source_ports:
        reason = f"{why}source port {single.ports}/{single.protocol}"
        sheet.verdict("filter", f"{chain}_allow", Match(sport=single), "accept", reason, "")
    for rule in sorted(zone.rich_rules, key=lambda rule: rule.priority):
        _rich(sheet, zone, rule)
    for protocol in zone.protocols:
        reason = f"{why}protocol {protocol}"
        sheet.verdict("filter", f"{chain}_allow", Match(protocol=protocol), "accept", reason, "")


def of_service(wanted: Service, rule: Match | None = None) -> Iterator[Match]:
    """The conditions of a service, each combined with those of ``rule``."""
    head = rule or Match()
    places = [(family, Address(text)) for family, text in wanted.destinations.items()]
    for single in wanted.ports:
        yield from _at(replace(head, dport=single), places)
    for protocol in wanted.protocols:
        yield from _at(replace(head, protocol=protocol), places)
    for single in wanted.source_ports:
        yield from _at(replace(head, sport=single), places)


def _at(match: Match, places: list[tuple[Family, Address]]) -> Iterator[Match]:
    for family, address in places:
        if match.family in (None, family):
            yield replace(match, destination=address)
    if not places:
        yield match


def _rich(sheet: Sheet, zone: Zone, rule: RichRule) -> None:
    reason = f"zone {zone.name}: {rule.text}"
    early = "pre" if rule.priority < 0 else "post" if rule.priority > 0 else ""
    for match in _of_rich(rule):
        if rule.log is not None:
            sheet.log("filter", f"IN_{zone.name}_{early or 'log'}", match, rule, reason)
        if rule.action:
            part = early or ("allow" if rule.action == "accept" else "deny")
            verdict = f"{rule.action} {rule.reject}".strip()
            sheet.verdict("filter", f"IN_{zone.name}_{part}", match, verdict, reason, rule.limit)


def _of_rich(rule: RichRule) -> Iterator[Match]:
    match = Match(family=rule.family, source=rule.source, destination=rule.destination)
    if rule.element == "service":
        yield from of_service(service(rule.attributes["name"]), match)
    elif rule.element in ("port", "source-port"):
        single = port(f"{rule.attributes['port']}/{rule.attributes['protocol']}")
        yield replace(match, dport=single) if rule.element == "port" else replace(match, sport=single)
    elif rule.element == "protocol":
        yield replace(match, protocol=rule.attributes["value"])
    else:
        yield match


# -- policies


def _policy_chain(sheet: Sheet, hook: Hook, policy: str) -> str:
    name = f"{hook.prefix}_{sheet.policy}{policy}"
    sheet.make(hook.table, name, *(f"{name}_{part}" for part in PARTS))
    for part in PARTS:
        sheet.jump(hook.table, name, f"{name}_{part}", f"policy {policy}: its rules to {part}")
    return name


def _host_policy(sheet: Sheet) -> None:
    """Priority -15000, from any zone to the host."""
    for hook in sheet.hooks:
        if hook in (FORWARD, POSTROUTING):
            continue
        name = _policy_chain(sheet, hook, HOST_POLICY)
        sheet.jump(hook.table, f"{hook.base}_POLICIES_pre", name, f"policy {HOST_POLICY}: all to the host")
        if hook == INPUT:
            sheet.host_icmp(f"{name}_allow")


def _forward_policy(sheet: Sheet, policy: str, zone: Zone) -> None:
    """Priority -1, from any zone to the engine's."""
    for hook in sheet.hooks:
        if hook in (FORWARD, POSTROUTING) or hook.table == "raw":
            name = _policy_chain(sheet, hook, policy)
            why = f"policy {policy}: all to zone {zone.name}"
            sheet.dispatch(hook.table, f"{hook.base}_POLICIES_pre", name, zone.interfaces, why)
            if hook == FORWARD:
                sheet.target(name, "ACCEPT", f"policy {policy}: its target")
