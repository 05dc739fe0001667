"""firewalld 1.3.3 with its iptables backend (FirewallBackend=iptables), one family at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netlab.firewall import arguments, firewalld_layout
from netlab.firewall.firewalld_centos7 import ICMP, REJECT, STATE
from netlab.firewall.firewalld_chains import Chains
from netlab.firewall.firewalld_config import Config, Port
from netlab.firewall.firewalld_layout import HOOKS, HOST_ICMP, Hook, Match
from netlab.firewall.firewalld_rich import Address, RichRule
from netlab.model.family import FAMILIES, Family
from netlab.model.plan import FirewalldZone
from netlab.model.rules import BASE_CHAINS, IptablesRuleset

#: 6to4 and IPv4-mapped addresses of private networks (RFC 3964), in the order of the rules.
_RFC3964 = (
    "2002:e000::/19",
    "2002:a9fe::/32",
    "2002:c0a8::/32",
    "2002:ac10::/28",
    "2002:7f00::/24",
    "2002:a00::/24",
    "2002::/24",
    "::ffff:0.0.0.0/96",
    "::/96",
)


def rulesets(config: Config, engine: FirewalldZone) -> tuple[IptablesRuleset, ...]:
    """Both families' rules, with the engine's zone."""
    return tuple(_ruleset(family, config, engine) for family in FAMILIES)


def _ruleset(family: Family, config: Config, engine: FirewalldZone) -> IptablesRuleset:
    sheet = _Sheet(family)
    for table, bases in BASE_CHAINS.items():
        for base in bases:
            if (table, base) != ("nat", "INPUT"):
                sheet.base(table, base)
    firewalld_layout.write(sheet, config, engine)
    for rule in sorted((r for r in config.direct if r.family is family), key=lambda r: r.priority):
        text = arguments.canonical(family, rule.args)
        sheet.chains.add(rule.table, f"{rule.chain}_direct", text, f"a direct rule, priority {rule.priority}")
    return sheet.chains.freeze()


class _Sheet:
    """One family's tables in the making."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.chains = Chains(family)
        self.hooks: tuple[Hook, ...] = (*HOOKS, Hook("raw", "PREROUTING", "PRE"))
        self.policy = ""

    # -- base chains

    def base(self, table: str, base: str) -> None:
        chains = self.chains
        chains.make(table, f"{base}_direct")
        zones = any((hook.table, hook.base) == (table, base) for hook in self.hooks)
        if table == "filter":
            self._filter(base)
        if (table, base) == ("mangle", "PREROUTING") and self.family is Family.IPV6:
            self._reverse_path()
        chains.add(table, base, f"-j {base}_direct", f"firewalld's direct rules for {base}")
        if table == "filter" and base != "INPUT" and self.family is Family.IPV6:
            self._mapped(base)
        if zones:
            chains.make(table, f"{base}_ZONES")
            chains.add(table, base, f"-j {base}_ZONES", "zones, by source address and by interface")
        elif base == "OUTPUT" and table in ("nat", "filter"):
            for part in ("pre", "post"):
                chains.make(table, f"{base}_POLICIES_{part}")
                why = f"policies about what the host sends ({part})"
                chains.add(table, base, f"-j {base}_POLICIES_{part}", why)
        if table == "filter" and base != "OUTPUT":
            chains.add(table, base, REJECT[self.family], "no rule let the packet in")

    def _filter(self, base: str) -> None:
        chains = self.chains
        if base == "OUTPUT":
            chains.add("filter", base, f"{STATE} RELATED,ESTABLISHED -j ACCEPT", "answers")
            chains.add("filter", base, "-o lo -j ACCEPT", "the host talks to itself")
            return
        why = "answers, and rewritten packets, such as those to published ports"
        chains.add("filter", base, f"{STATE} RELATED,ESTABLISHED,DNAT -j ACCEPT", why)
        chains.add("filter", base, "-i lo -j ACCEPT", "the host talks to itself")
        chains.add("filter", base, f"{STATE} INVALID -j DROP", "packets that belong to no connection")

    def _reverse_path(self) -> None:
        for number, name in ((134, "router advertisements"), (135, "neighbour solicitations")):
            text = f"-p ipv6-icmp -m icmp6 --icmpv6-type {number} -j ACCEPT"
            why = f"{name} may come from addresses that have no route back"
            self.chains.add("mangle", "PREROUTING", text, why)
        why = "a source that is not reached by the interface it came from"
        self.chains.add("mangle", "PREROUTING", "-m rpfilter --validmark --invert -j DROP", why)

    def _mapped(self, base: str) -> None:
        why = "IPv6 addresses that hold private IPv4 ones (RFC3964_IPv4)"
        if not self.chains.has("filter", "RFC3964_IPv4"):
            self.chains.make("filter", "RFC3964_IPv4")
            for subnet in _RFC3964:
                text = f"-d {subnet} -j REJECT --reject-with icmp6-addr-unreachable"
                self.chains.add("filter", "RFC3964_IPv4", text, why)
        self.chains.add("filter", base, "-j RFC3964_IPv4", why)

    # -- what firewalld_layout writes

    def make(self, table: str, *chains: str) -> None:
        self.chains.make(table, *chains)

    def jump(self, table: str, chain: str, to: str, reason: str) -> None:
        self.chains.add(table, chain, f"-j {to}", reason)

    def goto(self, table: str, chain: str, to: str, match: Match, reason: str) -> None:
        self._add(table, chain, match, f"-g {to}", reason)

    def dispatch(self, table: str, chain: str, to: str, interfaces: Iterable[str], reason: str) -> None:
        for name in interfaces:
            self.chains.add(table, chain, f"-o {name} -j {to}", reason)

    def verdict(self, table: str, chain: str, match: Match, verdict: str, reason: str, limit: str) -> None:
        word, _, said = verdict.partition(" ")
        target = f"-j {word.upper()}"
        if word == "reject":
            target += f" --reject-with {said or arguments.REJECT_PORT[self.family]}"
        if word == "masquerade":
            match = replace(match, interface=f"!{match.interface}")
        self._add(table, chain, match, _words(_limit(limit), target), reason)

    def log(self, table: str, chain: str, match: Match, rule: RichRule, reason: str) -> None:
        said = rule.log or {}
        prefix = f"--log-prefix {arguments.quoted(said['prefix'])}" if said.get("prefix") else ""
        level = _LEVELS.get(said.get("level", "warning"), "")
        words = _words(_limit(rule.log_limit), "-j LOG", prefix, f"--log-level {level}" if level else "")
        self._add(table, chain, match, words, reason)

    def target(self, chain: str, target: str, reason: str) -> None:
        text = {
            "default": f"-j REJECT --reject-with {arguments.REJECT_PORT[self.family]}",
            "%%REJECT%%": REJECT[self.family],
        }.get(target, f"-j {target}")
        self.chains.add("filter", chain, text, reason)

    def icmp(self, chain: str, reason: str) -> None:
        self.chains.add("filter", chain, f"-p {ICMP[self.family]} -j ACCEPT", reason)

    def host_icmp(self, chain: str) -> None:
        if self.family is Family.IPV6:
            for _, number, what in HOST_ICMP:
                text = f"-p ipv6-icmp -m icmp6 --icmpv6-type {number} -j ACCEPT"
                self.chains.add("filter", chain, text, f"policy allow-host-ipv6: {what}")

    def _add(self, table: str, chain: str, match: Match, rest: str, reason: str) -> None:
        addresses = [a for a in (match.source, match.destination) if a is not None]
        families = {Family.of(a.text) for a in addresses} | ({match.family} if match.family else set())
        if families <= {self.family}:
            self.chains.add(table, chain, _words(_match(self.family, match), rest), reason)


#: Kernel log levels by syslog's names; 4 is the default, which iptables-save leaves out.
_LEVELS = {
    "emerg": "0",
    "alert": "1",
    "crit": "2",
    "error": "3",
    "err": "3",
    "notice": "5",
    "info": "6",
    "debug": "7",
}


def _match(family: Family, match: Match) -> str:
    words = []
    for option, address in (("-s", match.source), ("-d", match.destination)):
        if address is not None:
            words.append(_address(family, option, address))
    if match.interface:
        option = "-o" if match.out else "-i"
        inverted = "! " if match.interface.startswith("!") else ""
        words.append(f"{inverted}{option} {match.interface.removeprefix('!')}")
    for option, port in (("--dport", match.dport), ("--sport", match.sport)):
        if port is not None:
            words.append(_port(option, port))
    if match.protocol:
        words.append(f"-p {match.protocol}")
    return " ".join(words)


def _address(family: Family, option: str, address: Address) -> str:
    return f"{'! ' if address.inverted else ''}{option} {arguments.network(family, address.text)}"


def _port(option: str, port: Port) -> str:
    return f"-p {port.protocol} -m {port.protocol} {option} {port.iptables}"


def _limit(limit: str) -> str:
    return f"-m limit --limit {limit}" if limit else ""


def _words(*words: str) -> str:
    return " ".join(word for word in words if word)
