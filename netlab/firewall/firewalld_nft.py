"""firewalld 1.3.3 with its nftables backend: one table for both families, ``inet firewalld``.

The priorities of its base chains are iptables' plus ten (NFT_HOOK_OFFSET): packets that iptables drops never
reach it, and it may still reject packets that iptables accepts. Direct rules are not in this table, but in
iptables' own chains.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netlab.firewall import arguments, firewalld_layout
from netlab.firewall.firewalld_chains import Chains
from netlab.firewall.firewalld_config import Config, Port
from netlab.firewall.firewalld_layout import HOOKS, HOST_ICMP, Hook, Match
from netlab.firewall.firewalld_rich import REJECTS, Address, RichRule
from netlab.model.family import FAMILIES, Family
from netlab.model.plan import FirewalldZone
from netlab.model.rules import IptablesRuleset, NftChain, NftRule, NftTable

#: 6to4 and IPv4-mapped addresses of private networks (RFC 3964), as nft lists the set.
_RFC3964 = (
    "ip6 daddr { ::/96, ::ffff:0.0.0.0/96, 2002::/24, 2002:a00::/24, 2002:7f00::/24, 2002:a9fe::/32, "
    "2002:ac10::/28, 2002:c0a8::/32, 2002:e000::/19 } reject with icmpv6 addr-unreachable"
)
_REJECT = "reject with icmpx admin-prohibited"
_ANSWERS = ("ct state { established, related } accept", "answers and related packets")
_PUBLISHED = ("ct status dnat accept", "rewritten packets, such as those to published ports")
_INVALID = ("ct state invalid drop", "packets that belong to no connection")
_NOTHING = (_REJECT, "no rule let the packet in")
_MAPPED = (_RFC3964, "IPv6 addresses that hold private IPv4 ones (RFC3964_IPv4)")
_BASES = (
    ("mangle", "PREROUTING", "type filter hook prerouting priority mangle + 10; policy accept"),
    ("nat", "PREROUTING", "type nat hook prerouting priority dstnat + 10; policy accept"),
    ("nat", "POSTROUTING", "type nat hook postrouting priority srcnat + 10; policy accept"),
    ("nat", "OUTPUT", "type nat hook output priority -90; policy accept"),
    ("filter", "PREROUTING", "type filter hook prerouting priority filter + 10; policy accept"),
    ("filter", "INPUT", "type filter hook input priority filter + 10; policy accept"),
    ("filter", "FORWARD", "type filter hook forward priority filter + 10; policy accept"),
    ("filter", "OUTPUT", "type filter hook output priority filter + 10; policy accept"),
)
_UNITS = {"sec": "second", "min": "minute", "hour": "hour", "day": "day"}


def table(config: Config, engine: FirewalldZone) -> NftTable:
    """``table inet firewalld``, with the engine's zone."""
    sheet = _Sheet()
    for name, base, hook in _BASES:
        sheet.base(name, base, hook)
    firewalld_layout.write(sheet, config, engine)
    chains = (NftChain(name, hook, tuple(sheet.rules[name])) for name, hook in sheet.hooked.items())
    return NftTable("inet", "firewalld", (), tuple(chains))


def direct(config: Config) -> tuple[IptablesRuleset, ...]:
    """Direct rules are in iptables' own chains, in tables that they create."""
    found = []
    for family in FAMILIES:
        chains = Chains(family)
        for rule in sorted((r for r in config.direct if r.family is family), key=lambda r: r.priority):
            chains.make(rule.table)
            text = arguments.canonical(family, rule.args)
            chains.add(rule.table, rule.chain, text, f"a direct rule, priority {rule.priority}")
        found.append(chains.freeze())
    return tuple(found)


class _Sheet:
    """The table in the making; a chain's name begins with the name of iptables' table."""

    def __init__(self) -> None:
        self.hooks: tuple[Hook, ...] = HOOKS
        self.policy = "policy_"
        self.rules: dict[str, list[NftRule]] = {}
        self.hooked: dict[str, str] = {}

    def base(self, table: str, base: str, hook: str) -> None:
        name = f"{table}_{base}"
        self.hooked[name], self.rules[name] = hook, []
        if (table, base) == ("filter", "PREROUTING"):
            routers = "icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept"
            self._add(name, routers, "neighbour discovery may come from addresses that have no route back")
            text = "meta nfproto ipv6 fib saddr . mark . iif oif missing drop"
            self._add(name, text, "a source that is not reached by the interface it came from")
            return
        if table == "filter":
            self._filter(name, base)
        if base == "OUTPUT":
            self.make(table, f"{base}_POLICIES_pre", f"{base}_POLICIES_post")
            for part in ("pre", "post"):
                self.jump(
                    table, base, f"{base}_POLICIES_{part}", f"policies about what the host sends ({part})"
                )
        else:
            self.jump(table, base, f"{base}_ZONES", "zones, by source address and by interface")
        if table == "filter" and base != "OUTPUT":
            self._add(name, *_NOTHING)

    def _filter(self, name: str, base: str) -> None:
        self._add(name, *_ANSWERS)
        if base == "OUTPUT":
            self._add(name, 'oifname "lo" accept', "the host talks to itself")
        else:
            self._add(name, *_PUBLISHED)
            self._add(name, 'iifname "lo" accept', "the host talks to itself")
            self._add(name, *_INVALID)
        if base != "INPUT":
            self._add(name, *_MAPPED)

    def _add(self, chain: str, text: str, reason: str) -> None:
        """Append; firewalld never writes one rule twice."""
        rules = self.rules[chain]
        if all(rule.text != text for rule in rules):
            rules.append(NftRule(text, reason))

    def make(self, table: str, *chains: str) -> None:
        for chain in chains:
            self.hooked.setdefault(f"{table}_{chain}", "")
            self.rules.setdefault(f"{table}_{chain}", [])

    def jump(self, table: str, chain: str, to: str, reason: str) -> None:
        self._add(f"{table}_{chain}", f"jump {table}_{to}", reason)

    def goto(self, table: str, chain: str, to: str, match: Match, reason: str) -> None:
        self._add(f"{table}_{chain}", _words(_match(match), f"goto {table}_{to}"), reason)

    def dispatch(self, table: str, chain: str, to: str, interfaces: Iterable[str], reason: str) -> None:
        names = [f'"{name}"' for name in sorted(interfaces)]
        leaves = f"oifname {names[0]}" if len(names) == 1 else f"oifname {{ {', '.join(names)} }}"
        self._add(f"{table}_{chain}", f"{leaves} jump {table}_{to}", reason)

    def verdict(self, table: str, chain: str, match: Match, verdict: str, reason: str, limit: str) -> None:
        words = _verdict(verdict, match)
        if words.startswith("reject with"):
            match = replace(match, family=None)  # what the reject says implies the family
        text = _match(match)
        if verdict == "masquerade":
            text = text.replace("oifname ", "oifname != ")
        self._add(f"{table}_{chain}", _words(text, _limit(limit), words), reason)

    def log(self, table: str, chain: str, match: Match, rule: RichRule, reason: str) -> None:
        said = rule.log or {}
        prefix = f'prefix "{said["prefix"]}"' if said.get("prefix") else ""
        level = {"warning": "", "warn": ""}.get(said.get("level", ""), said.get("level", ""))
        words = _words("log", prefix, f"level {level}" if level else "")
        self._add(f"{table}_{chain}", _words(_match(match), _limit(rule.log_limit), words), reason)

    def target(self, chain: str, target: str, reason: str) -> None:
        text = target.lower() if target in ("ACCEPT", "DROP") else _REJECT
        self._add(f"filter_{chain}", text, reason)

    def icmp(self, chain: str, reason: str) -> None:
        self._add(f"filter_{chain}", "meta l4proto { icmp, ipv6-icmp } accept", reason)

    def host_icmp(self, chain: str) -> None:
        for name, _, what in HOST_ICMP:
            self._add(f"filter_{chain}", f"icmpv6 type {name} accept", f"policy allow-host-ipv6: {what}")


def _match(match: Match) -> str:
    """As ``nft list`` prints it: an address or an answer of one family implies the family."""
    family = match.family
    words = []
    if family is not None and match.source is None and match.destination is None:
        words.append(f"meta nfproto {family.word}")
    if match.interface:
        words.append(f'{"oifname" if match.out else "iifname"} "{match.interface}"')
    for field, address in (("daddr", match.destination), ("saddr", match.source)):
        if address is not None:
            words.append(_address(field, address))
    for field, port in (("dport", match.dport), ("sport", match.sport)):
        if port is not None:
            words.append(_port(field, port))
    if match.protocol:
        words.append(f"meta l4proto {match.protocol}")
    return " ".join(words)


def _address(field: str, address: Address) -> str:
    family = Family.of(address.text)
    text = arguments.network(family, address.text).removesuffix(f"/{family.bits}")
    return f"{family.nft} {field} {'!= ' if address.inverted else ''}{text}"


def _port(field: str, port: Port) -> str:
    return f"{port.protocol} {field} {port.ports}"


def _verdict(verdict: str, match: Match) -> str:
    word, _, said = verdict.partition(" ")
    if word != "reject":
        return word
    if said:
        return f"reject with {REJECTS[said]}"
    family = match.family
    for address in (match.source, match.destination):
        family = Family.of(address.text) if address is not None else family
    kinds = {
        None: "",
        Family.IPV4: " with icmp port-unreachable",
        Family.IPV6: " with icmpv6 port-unreachable",
    }
    return f"reject{kinds[family]}"


def _limit(limit: str) -> str:
    rate, _, unit = limit.partition("/")
    return f"limit rate {rate}/{_UNITS[unit]}" if limit else ""


def _words(*words: str) -> str:
    return " ".join(word for word in words if word)
