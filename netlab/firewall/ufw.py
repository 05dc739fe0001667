"""ufw 0.36.2: its own rules, what ``ufw allow``, ``deny``, ``reject`` and ``limit`` add, and after.rules."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from netlab.firewall import arguments
from netlab.firewall.ufw_rules import RULES
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.iptables_save import saved_lines
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
_EVERY_BIT = {Family.IPV4: "255.255.255.255", Family.IPV6: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}
_UNREACHABLE = {Family.IPV4: "icmp-port-unreachable", Family.IPV6: "icmp6-port-unreachable"}
_PORTS = re.compile(r"\d{1,5}(?::\d{1,5})?(?:,\d{1,5}(?::\d{1,5})?)*\Z")
_OPTIONS = {"allow", "default", "route_allow", "rules", "run"}
#: ``default``: each direction's chains, and the policy that ufw has there by default.
_DEFAULTS = {"incoming": ("input", "deny"), "outgoing": ("output", "allow"), "routed": ("forward", "deny")}
_POLICIES = {"allow": "ACCEPT", "deny": "DROP", "reject": "REJECT"}
_TABLES = ("filter", "nat", "mangle", "raw", "security")
_ACTIONS = (*_POLICIES, "limit")


@dataclass(frozen=True, slots=True)
class Allowed:
    """One rule as ufw takes it: ``allow 80/tcp``, ``route deny proto tcp from any to any port 80``."""

    text: str
    incoming: str = ""  #: in on
    outgoing: str = ""  #: out on
    protocol: str = ""
    source: str = ""
    sports: str = ""
    destination: str = ""
    dports: str = ""
    action: str = "allow"  #: allow, deny, reject or limit
    chain: str = "input"  #: input, output or forward

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
            matches = arguments.canonical(family, [*" ".join(words).split(), "-j", "ACCEPT"])
            for target in self._targets(family, protocol):
                yield matches.removesuffix("-j ACCEPT") + target

    def _targets(self, family: Family, protocol: str) -> Iterator[str]:
        """What follows the matches: one target, or the three rules of ``limit``."""
        if self.action == "limit":
            new = "-m conntrack --ctstate NEW -m recent"
            whose = f"--name DEFAULT --mask {_EVERY_BIT[family]} --rsource"
            user = f"{PREFIX[family]}-user-limit"
            yield f"{new} --set {whose}"
            yield f"{new} --update --seconds 30 --hitcount 6 {whose} -j {user}"
            yield f"-j {user}-accept"
        elif self.action == "reject":
            answer = "tcp-reset" if protocol == "tcp" else _UNREACHABLE[family]
            yield f"-j REJECT --reject-with {answer}"
        else:
            yield f"-j {_POLICIES[self.action]}"


def rulesets(firewall: Firewall) -> tuple[IptablesRuleset, ...]:
    """The rules after ``ufw enable``; raises UsageError for anything that is not reproduced."""
    unknown = set(firewall.options) - _OPTIONS
    if unknown:
        raise UsageError(f"firewall: ufw: {', '.join(sorted(unknown))} is not reproduced")
    made = []
    for family in FAMILIES:
        added: dict[str, list[Rule]] = {}
        for entry in entries(firewall):
            found = [Rule(text, f"ufw {entry.text}") for text in entry.rules(family)]
            added.setdefault(f"{PREFIX[family]}-user-{entry.chain}", []).extend(found)
        if family is Family.IPV6 and any(added.values()):
            added |= {chain: [Rule(text, "ufw's own, for ufw limit")] for chain, text in _LIMIT_V6.items()}
        tables: dict[str, dict[str, _Chain]] = {}
        _take(tables, RULES[family], "ufw")
        _take(tables, _after(family, firewall), AFTER[family])
        for chain, rules in added.items():
            tables["filter"][chain].rules.extend(rules)
        for direction, policy in defaults(firewall).items():
            _set_default(tables["filter"], PREFIX[family], *_DEFAULTS[direction], policy)
        made.append(IptablesRuleset(family, tuple(_frozen(name, tables[name]) for name in tables)))
    return tuple(made)


def defaults(firewall: Firewall) -> dict[str, str]:
    """Direction (incoming, outgoing, routed) → allow, deny or reject, as far as the scenario says."""
    said = firewall.options.get("default")
    return {key: str(value) for key, value in said.items()} if isinstance(said, dict) else {}


def _set_default(chains: dict[str, _Chain], prefix: str, name: str, before: str, policy: str) -> None:
    """``ufw default POLICY DIRECTION``: policy, logging, what new connections meet (ufw-init-functions)."""
    if policy == before:
        return
    chains[name.upper()].policy = "ACCEPT" if policy == "allow" else "DROP"
    reason = f"ufw default {policy}"
    logging = chains[f"{prefix}-after-logging-{name}"].rules
    tracking = chains[f"{prefix}-track-{name}"].rules
    logging[:] = [] if policy == "allow" else [Rule(_LOGS, reason)]
    new = (f"-p {protocol} -m conntrack --ctstate NEW -j ACCEPT" for protocol in ("tcp", "udp"))
    tracking[:] = [Rule(text, reason) for text in new] if policy == "allow" else []
    target = _POLICIES[policy]
    if policy == "reject":
        target += f" --reject-with {_UNREACHABLE[Family.IPV4 if prefix == 'ufw' else Family.IPV6]}"
        chains[f"{prefix}-reject-{name}"].rules[:] = [Rule(f"-j {target}", reason)]
    chains[f"{prefix}-skip-to-policy-{name}"].rules[:] = [Rule(f"-j {target}", reason)]


_LOGS = '-m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "'


def _after(family: Family, firewall: Firewall) -> str:
    """after.rules, or after6.rules, in the words of iptables-save."""
    lines = []
    for line in firewall.files.get(AFTER[family], "").splitlines():
        if line.startswith("-A "):
            try:
                _, chain, *words = shlex.split(line)
            except ValueError:  # a quote without its end, or no chain
                raise UsageError(
                    f"firewall: {AFTER[family]}: {line!r} is not a line of iptables-save"
                ) from None
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
    for one in saved_lines(text):
        if one.kind == "table":
            if one.text not in _TABLES:
                raise UsageError(f"firewall: {reason}: {one.line!r} names no table ({', '.join(_TABLES)})")
            table = tables.setdefault(one.text, {})
        elif one.kind == "chain":
            table.setdefault(one.chain, _Chain(one.policy, []))
        elif one.kind == "rule" and not one.inserted and one.chain in table:
            table[one.chain].rules.append(Rule(one.text, _reason(one.chain, one.text, reason)))
        else:
            raise UsageError(
                f"firewall: {reason}: {one.line!r} is not a line of iptables-save for a chain of that table"
            )


def _reason(chain: str, rule: str, origin: str) -> str:
    target = rule.rpartition("-j ")[2].split(" ")[0]
    if origin == "ufw" and target.startswith("ufw"):
        return f"ufw: on to {target}"
    return f"{origin}'s own, in {chain}" if origin == "ufw" else f"the administrator's own, from {origin}"


def _frozen(name: str, chains: dict[str, _Chain]) -> Table:
    return Table(name, tuple(Chain(c, found.policy, tuple(found.rules)) for c, found in chains.items()))


# -- rules


def entries(firewall: Firewall) -> list[Allowed]:
    """What the scenario lists below ``allow``, ``route_allow`` and ``rules``, in order; raises UsageError."""
    found = [f"allow {one}" for one in _list(firewall.options.get("allow"))]
    found += [f"route allow {one}" for one in _list(firewall.options.get("route_allow"))]
    found += _list(firewall.options.get("rules"))
    return [_entry(text) for text in found]


def _list(value: JsonValue) -> list[str]:
    return [str(one) for one in (value if isinstance(value, list) else [] if value is None else [value])]


def _entry(text: str) -> Allowed:
    """``[route] ACTION [in|out] …``, as ufw takes it."""
    words = text.split()
    route = words[:1] == ["route"]
    del words[: int(route)]
    action = words.pop(0) if words else ""
    if action not in _ACTIONS:
        raise _wrong(text, f"{action!r} is none of {', '.join(_ACTIONS)}")
    chain = "forward" if route else "input"
    if not route and words[:1] in (["in"], ["out"]):
        chain = {"in": "input", "out": "output"}[words[0]]
        if words[1:2] != ["on"]:
            del words[0]
    if len(words) == 1:
        ports, _, protocol = words[0].partition("/")
        _check(text, ports, protocol)
        return Allowed(text, protocol=protocol, dports=ports, action=action, chain=chain)
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
    if ("outgoing" in found and chain == "input") or ("incoming" in found and chain == "output"):
        raise _wrong(text, "what passes from one interface to another is a route rule")
    return Allowed(text, action=action, chain=chain, **found)


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
    return UsageError(f"firewall: ufw: {text!r}: {what}")
