"""The classic firewalld host: the chains that firewalld 0.6.3 of CentOS 7 writes with its iptables backend.

From the saved rulesets of such hosts and firewalld 0.6's own sources (core/ipXtables.py): which chains there
are in each table, their order, and a zone's chains, PRE_, POST_, IN_, FWDI_ and FWDO_, each followed by a
_log, a _deny and an _allow. CentOS 7's network scripts put every interface of the host into a zone.

Docker 19.03 does not know zones: its rules are where iptables puts them, those in FORWARD before all of
firewalld's, and the jump in nat PREROUTING after them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.firewall import arguments
from netlab.firewall.firewalld_chains import Chains
from netlab.firewall.firewalld_config import Config, Port, Service, Zone, port, refuse, service
from netlab.firewall.firewalld_rich import RichRule
from netlab.model.family import FAMILIES, Family
from netlab.model.rules import IptablesRuleset

#: What the last rule of INPUT and FORWARD answers.
REJECT = {
    Family.IPV4: "-j REJECT --reject-with icmp-host-prohibited",
    Family.IPV6: "-j REJECT --reject-with icmp6-adm-prohibited",
}
ICMP = {Family.IPV4: "icmp", Family.IPV6: "ipv6-icmp"}
STATE = "-m conntrack --ctstate"
NEW = f"{STATE} NEW,UNTRACKED"

#: A zone's chains: table, the chain that dispatches to it, the prefix of its name, the interface's option.
_ZONE_CHAINS = (
    ("raw", "PREROUTING", "PRE", "-i", "-s"),
    ("mangle", "PREROUTING", "PRE", "-i", "-s"),
    ("nat", "PREROUTING", "PRE", "-i", "-s"),
    ("nat", "POSTROUTING", "POST", "-o", "-d"),
    ("filter", "INPUT", "IN", "-i", "-s"),
    ("filter", "FORWARD_IN", "FWDI", "-i", "-s"),
    ("filter", "FORWARD_OUT", "FWDO", "-o", "-d"),
)
#: The chains that dispatch by zone, in the order of the jumps in their base chain.
_DISPATCH = {
    ("raw", "PREROUTING"): ("PREROUTING",),
    ("mangle", "PREROUTING"): ("PREROUTING",),
    ("nat", "PREROUTING"): ("PREROUTING",),
    ("nat", "POSTROUTING"): ("POSTROUTING",),
    ("filter", "INPUT"): ("INPUT",),
    ("filter", "FORWARD"): ("FORWARD_IN", "FORWARD_OUT"),
}
_BASES = {
    "security": ("INPUT", "FORWARD", "OUTPUT"),
    "raw": ("PREROUTING", "OUTPUT"),
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "nat": ("PREROUTING", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
_RULES_OF = "firewalld's direct rules for {}"


def rulesets(config: Config, interfaces: Sequence[str]) -> tuple[IptablesRuleset, ...]:
    """Both families' rules before Docker starts; ``interfaces`` are the host's own.

    Raises UsageError for priorities of rich rules, which this firewalld did not know.
    """
    return tuple(_ruleset(family, config, interfaces) for family in FAMILIES)


def _ruleset(family: Family, config: Config, interfaces: Sequence[str]) -> IptablesRuleset:
    chains = Chains(family)
    for table, bases in _BASES.items():
        for base in bases:
            _base(chains, table, base)
    placed = {name for zone in config.zones.values() for name in zone.interfaces}
    for zone in config.used():
        _zone(chains, zone)
        for source in zone.sources:
            _source(chains, zone, source)
        own = zone.interfaces
        if zone.name == config.default_zone:
            own = (*own, *(name for name in interfaces if name not in placed))
        for name in own:
            _interface(chains, zone, name)
    _default(chains, config.zones[config.default_zone])
    for rule in sorted((r for r in config.direct if r.family is family), key=lambda r: r.priority):
        text = arguments.canonical(family, rule.args)
        chains.add(rule.table, f"{rule.chain}_direct", text, f"a direct rule, priority {rule.priority}")
    return chains.freeze()


# -- the chains of every host


def _base(chains: Chains, table: str, base: str) -> None:
    """A base chain: with filter's INPUT and FORWARD, answers first, and a reject last."""
    family, filters = chains.family, table == "filter" and base != "OUTPUT"
    dispatch = _DISPATCH.get((table, base), ())
    chains.make(table, f"{base}_direct", *(f"{d}_ZONES{s}" for d in dispatch for s in ("_SOURCE", "")))
    if (table, base) == ("raw", "PREROUTING") and family is Family.IPV6:
        _reverse_path(chains)
    if filters:
        chains.add(table, base, f"{STATE} RELATED,ESTABLISHED -j ACCEPT", "answers and related packets")
        chains.add(table, base, "-i lo -j ACCEPT", "the host talks to itself")
    elif table == "filter":
        chains.add(table, base, "-o lo -j ACCEPT", "the host talks to itself")
    chains.add(table, base, f"-j {base}_direct", _RULES_OF.format(base))
    for asked in dispatch:
        chains.add(table, base, f"-j {asked}_ZONES_SOURCE", "zones by the address of the other side")
        chains.add(table, base, f"-j {asked}_ZONES", "zones by interface")
    if filters:
        chains.add(table, base, f"{STATE} INVALID -j DROP", "packets that belong to no connection")
        chains.add(table, base, REJECT[family], "no rule let the packet in")


def _reverse_path(chains: Chains) -> None:
    """IPv6_rpfilter=yes, which is the default; the kernel's own rp_filter is for IPv4."""
    for number, name in ((135, "neighbour solicitations"), (134, "router advertisements")):
        text = f"-p ipv6-icmp -m icmp6 --icmpv6-type {number} -j ACCEPT"
        chains.add("raw", "PREROUTING", text, f"{name} may come from addresses that have no route back")
    text = "-m rpfilter --invert -j DROP"
    chains.add("raw", "PREROUTING", text, "a source that is not reached by the interface it came from")


# -- zones


def _action(zone: Zone) -> str:
    """A zone without a verdict for a packet ends the dispatch (goto); after a zone with a target, it
    continues.
    """
    return "-g" if zone.target == "default" else "-j"


def _zone(chains: Chains, zone: Zone) -> None:
    for table, _, prefix, _, _ in _ZONE_CHAINS:
        name = f"{prefix}_{zone.name}"
        chains.make(table, name, *(f"{name}_{part}" for part in ("log", "deny", "allow")))
        for part in ("log", "deny", "allow"):
            chains.add(table, name, f"-j {name}_{part}", f"zone {zone.name}: what it says to {part}")
        if table != "filter":
            continue
        if prefix != "FWDO":
            chains.add(table, name, f"-p {ICMP[chains.family]} -j ACCEPT", f"zone {zone.name}: ICMP")
        if zone.target != "default":
            verdict = REJECT[chains.family] if zone.target == "%%REJECT%%" else f"-j {zone.target}"
            chains.add(table, name, verdict, f"zone {zone.name}: its target")
    for text, reason in _allowed(chains.family, zone):
        chains.add("filter", f"IN_{zone.name}_allow", text, f"zone {zone.name}: {reason}")
    if zone.masquerade and chains.family is Family.IPV4:
        reason = f"zone {zone.name}: masquerade"
        chains.add("nat", f"POST_{zone.name}_allow", "! -o lo -j MASQUERADE", reason)
        chains.add("filter", f"FWDO_{zone.name}_allow", f"{NEW} -j ACCEPT", reason)
    for rule in zone.rich_rules:
        _rich(chains, zone, rule)


def _interface(chains: Chains, zone: Zone, interface: str) -> None:
    for table, chain, prefix, option, _ in _ZONE_CHAINS:
        text = f"{option} {interface} {_action(zone)} {prefix}_{zone.name}"
        chains.insert(table, f"{chain}_ZONES", text, f"{interface} is in zone {zone.name}")


def _source(chains: Chains, zone: Zone, source: str) -> None:
    if Family.of(source) is not chains.family:
        return
    address = arguments.network(chains.family, source)
    for table, chain, prefix, _, option in _ZONE_CHAINS:
        text = f"{option} {address} {_action(zone)} {prefix}_{zone.name}"
        chains.add(table, f"{chain}_ZONES_SOURCE", text, f"{source} is in zone {zone.name}")


def _default(chains: Chains, zone: Zone) -> None:
    for table, chain, prefix, _, _ in _ZONE_CHAINS:
        text = f"{_action(zone)} {prefix}_{zone.name}"
        chains.add(table, f"{chain}_ZONES", text, f"every other interface is in zone {zone.name} (default)")


# -- what a zone lets in


def _allowed(family: Family, zone: Zone) -> Iterator[tuple[str, str]]:
    for allowed in zone.services:
        for match in _of_service(family, allowed):
            yield f"{match} {NEW} -j ACCEPT", f"service {allowed.name}"
    for single in zone.ports:
        yield f"{_dport(single)} {NEW} -j ACCEPT", f"port {single.ports}/{single.protocol}"
    for protocol in zone.protocols:
        yield f"-p {protocol} {NEW} -j ACCEPT", f"protocol {protocol}"
    for single in zone.source_ports:
        yield f"{_sport(single)} {NEW} -j ACCEPT", f"source port {single.ports}/{single.protocol}"


def _of_service(family: Family, wanted: Service) -> Iterator[str]:
    if not wanted.reaches(family):
        return
    to = wanted.destinations.get(family)
    head = f"-d {arguments.network(family, to)} " if to else ""
    for single in wanted.ports:
        yield head + _dport(single)
    for protocol in wanted.protocols:
        yield f"{head}-p {protocol}"
    for single in wanted.source_ports:
        yield head + _sport(single)


def _dport(wanted: Port) -> str:
    return f"-p {wanted.protocol} -m {wanted.protocol} --dport {wanted.iptables}"


def _sport(wanted: Port) -> str:
    return f"-p {wanted.protocol} -m {wanted.protocol} --sport {wanted.iptables}"


# -- rich rules


def _rich(chains: Chains, zone: Zone, rule: RichRule) -> None:
    if rule.priority:
        raise refuse(f"rich rule {rule.text!r}: priorities are of firewalld 0.7 and later, not of CentOS 7")
    if chains.family not in rule.families:
        return
    reason = f"zone {zone.name}: {rule.text}"
    name = f"IN_{zone.name}"
    for match in _matches(chains.family, rule):
        if rule.log is not None:
            chains.add("filter", f"{name}_log", _text(match, _limit(rule.log_limit), _log(rule)), reason)
        if rule.action:
            part, verdict = _verdict(chains.family, rule)
            chains.add("filter", f"{name}_{part}", _text(match, _limit(rule.limit), verdict), reason)


def _matches(family: Family, rule: RichRule) -> Iterator[str]:
    head = ""
    for option, address in (("-s", rule.source), ("-d", rule.destination)):
        if address is not None:
            inverted = "! " if address.inverted else ""
            head += f"{inverted}{option} {arguments.network(family, address.text)} "
    if rule.element == "service":
        for match in _of_service(family, service(rule.attributes["name"])):
            yield f"{head}{match} {NEW}"
    elif rule.element in ("port", "source-port"):
        single = port(f"{rule.attributes['port']}/{rule.attributes['protocol']}")
        yield f"{head}{_dport(single) if rule.element == 'port' else _sport(single)} {NEW}"
    elif rule.element == "protocol":
        yield f"{head}-p {rule.attributes['value']} {NEW}"
    else:
        yield head.strip()


def _verdict(family: Family, rule: RichRule) -> tuple[str, str]:
    if rule.action == "accept":
        return "allow", "-j ACCEPT"
    if rule.action == "drop":
        return "deny", "-j DROP"
    return "deny", f"-j REJECT --reject-with {rule.reject or arguments.REJECT_PORT[family]}"


def _log(rule: RichRule) -> str:
    said = rule.log or {}
    prefix = f" --log-prefix {arguments.quoted(said['prefix'])}" if said.get("prefix") else ""
    return f"-j LOG{prefix}" + (f" --log-level {said['level']}" if said.get("level") else "")


def _limit(limit: str) -> str:
    return f"-m limit --limit {limit}" if limit else ""


def _text(*parts: str) -> str:
    return " ".join(part for part in parts if part)
