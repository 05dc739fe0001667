"""ufw 0.36.2: its own rules, what ``ufw allow`` and ``ufw route allow`` add, and after.rules."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from netlab.firewall import arguments
from netlab.firewall.ufw_rules import RULES
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.rules import Chain, IptablesRuleset, Rule, Table
from netlab.model.scenario import Firewall, JsonValue

#: Where the lines of ``after.rules`` and ``after6.rules`` go.
AFTER = {Family.IPV4: "after_rules", Family.IPV6: "after6_rules"}
#: The names of ufw's chains begin so.
PREFIX = {Family.IPV4: "ufw", Family.IPV6: "ufw6"}
#: Debian's user6.rules lacks these; they come with the first rule that ufw writes into it.
_LIMIT_V6 = {
    "ufw6-user-limit": "-j REJECT --reject-with icmp6-port-unreachable",
    "ufw6-user-limit-accept": "-j ACCEPT",
}
_PORTS = re.compile(r"\d{1,5}(?::\d{1,5})?(?:,\d{1,5}(?::\d{1,5})?)*\Z")
_OPTIONS = {"allow", "route_allow", "run"}


@dataclass(frozen=True, slots=True)
class Allowed:
    """One ``allow``: the arguments of ufw's command, ``80/tcp`` or ``proto tcp from any to any port 80``."""

    text: str
    incoming: str = ""  #: in on
    outgoing: str = ""  #: out on
    protocol: str = ""
    source: str = ""
    sports: str = ""
    destination: str = ""
    dports: str = ""

    def rules(self, family: Family) -> Iterator[str]:
        """The rules of one family, in the words of iptables-save."""
        places = [a for a in (self.source, self.destination) if a]
        if any(Family.of(place) is not family for place in places):
            return
        ported = self.sports or self.dports
        protocols = [self.protocol] if self.protocol or not ported else ["tcp", "udp"]
        for protocol in protocols:
            words = [f"-s {self.source}"] if self.source else []
            words += [f"-d {self.destination}"] if self.destination else []
            words += [f"-i {self.incoming}"] if self.incoming else []
            words += [f"-o {self.outgoing}"] if self.outgoing else []
            words += [f"-p {protocol}"] if protocol else []
            words += _ports(protocol, self.sports, "sport") + _ports(protocol, self.dports, "dport")
            yield arguments.canonical(family, [*" ".join(words).split(), "-j", "ACCEPT"])


def rulesets(firewall: Firewall) -> tuple[IptablesRuleset, ...]:
    """The rules after ``ufw enable``; raises UsageError for anything that is not reproduced."""
    unknown = set(firewall.options) - _OPTIONS
    if unknown:
        raise UsageError(f"firewall: ufw: {', '.join(sorted(unknown))} is not reproduced")
    made = []
    for family in FAMILIES:
        added = {
            f"{PREFIX[family]}-user-{chain}": [
                Rule(text, f"ufw {words}{entry.text}")
                for entry in read(firewall.options.get(key), key)
                for text in entry.rules(family)
            ]
            for chain, key, words in (
                ("input", "allow", "allow "),
                ("forward", "route_allow", "route allow "),
            )
        }
        if family is Family.IPV6 and any(added.values()):
            added |= {chain: [Rule(text, "ufw's own, for ufw limit")] for chain, text in _LIMIT_V6.items()}
        tables: dict[str, dict[str, _Chain]] = {}
        _take(tables, RULES[family], "ufw")
        _take(tables, _after(family, firewall), AFTER[family])
        for chain, rules in added.items():
            tables["filter"][chain].rules.extend(rules)
        made.append(IptablesRuleset(family, tuple(_frozen(name, tables[name]) for name in tables)))
    return tuple(made)


def _after(family: Family, firewall: Firewall) -> str:
    """after.rules, or after6.rules, in the words of iptables-save."""
    lines = []
    for line in firewall.files.get(AFTER[family], "").splitlines():
        if line.startswith("-A "):
            _, chain, *words = shlex.split(line)
            line = f"-A {chain} {arguments.canonical(family, words)}"
        lines.append(line)
    return "".join(line + "\n" for line in lines)


@dataclass(slots=True)
class _Chain:
    policy: str | None
    rules: list[Rule]


def _take(tables: dict[str, dict[str, _Chain]], text: str, reason: str) -> None:
    """Add the tables of an iptables-save text; raises UsageError for an invalid line."""
    table: dict[str, _Chain] = {}
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if line.startswith("*"):
            table = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            policy = rest.split(" ")[0]
            table.setdefault(word[1:], _Chain(None if policy == "-" else policy, []))
        elif word == "-A" and rest.partition(" ")[0] in table:
            chain, _, rule = rest.partition(" ")
            table[chain].rules.append(Rule(rule, _reason(chain, rule, reason)))
        elif line and not line.startswith("#") and line != "COMMIT":
            raise UsageError(
                f"firewall: {reason}: {line!r} is not a line of iptables-save for a chain of that table"
            )


def _reason(chain: str, rule: str, origin: str) -> str:
    target = rule.rpartition("-j ")[2].split(" ")[0]
    if origin == "ufw" and target.startswith("ufw"):
        return f"ufw: on to {target}"
    return f"{origin}'s own, in {chain}" if origin == "ufw" else f"the administrator's own, from {origin}"


def _frozen(name: str, chains: dict[str, _Chain]) -> Table:
    return Table(name, tuple(Chain(c, found.policy, tuple(found.rules)) for c, found in chains.items()))


# -- allow


def read(value: JsonValue, key: str) -> list[Allowed]:
    """What the scenario lists below ``allow`` or ``route_allow``; raises UsageError."""
    if value is None:
        return []
    entries = value if isinstance(value, list) else [value]
    return [_allowed(str(entry), route=key == "route_allow") for entry in entries]


def _allowed(text: str, route: bool) -> Allowed:
    words = text.split()
    if len(words) == 1:
        ports, _, protocol = words[0].partition("/")
        _check(text, ports, protocol)
        return Allowed(text, protocol=protocol, dports=ports)
    found: dict[str, str] = {}
    side = ""
    rest = iter(words)
    for word in rest:
        if word in ("in", "out"):
            if next(rest, "") != "on":
                raise _wrong(text, f"{word} on INTERFACE is expected")
            found[{"in": "incoming", "out": "outgoing"}[word]] = next(rest, "")
        elif word == "proto":
            found["protocol"] = next(rest, "")
        elif word in ("from", "to"):
            side = word
            address = next(rest, "")
            if address != "any":
                found[{"from": "source", "to": "destination"}[word]] = _address(text, address)
        elif word == "port" and side:
            found[{"from": "sports", "to": "dports"}[side]] = next(rest, "")
        else:
            raise _wrong(text, f"{word!r} is not reproduced")
    for key in ("sports", "dports"):
        if key in found:
            _check(text, found[key], found.get("protocol", ""))
    if "outgoing" in found and not route:
        raise _wrong(text, "out on belongs to route_allow")
    return Allowed(text, **found)


def _address(text: str, address: str) -> str:
    try:
        return arguments.network(Family.of(address), address)
    except UsageError:
        raise _wrong(text, f"{address!r} is not an address") from None


def _check(text: str, ports: str, protocol: str) -> None:
    if not _PORTS.match(ports):
        raise _wrong(text, f"{ports!r} is not a port: services by name are not reproduced")
    if protocol not in ("", "tcp", "udp"):
        raise _wrong(text, f"protocol {protocol!r} is not reproduced")
    if ("," in ports or ":" in ports) and not protocol:
        raise _wrong(text, "must specify 'tcp' or 'udp' with multiple ports")


def _ports(protocol: str, ports: str, word: str) -> list[str]:
    if not ports:
        return []
    if "," in ports or ":" in ports:
        return [f"-m multiport --{word}s {ports}"]
    return [f"-m {protocol} --{word} {ports}"]


def _wrong(text: str, what: str) -> UsageError:
    return UsageError(f"firewall: ufw: allow {text!r}: {what}")
