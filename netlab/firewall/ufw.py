"""ufw 0.36.2: its own rules, what ``ufw allow``, ``deny``, ``reject`` and ``limit`` add, and after.rules."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netlab.firewall import arguments
from netlab.firewall.places import at, at_line
from netlab.firewall.ufw_rules import RULES
from netlab.model.errors import UsageError
from netlab.model.family import FAMILIES, Family
from netlab.model.iptables_save import saved_lines
from netlab.model.rules import Chain, IptablesRuleset, Rule, Table
from netlab.model.scenario import Firewall, JsonValue
from netlab.scenario.rule_files import words_of
from netlab.scenario.tree import hint

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
_ACTIONS = (*_POLICIES, "limit")
_PORTLESS = ("esp", "ah", "gre")
_PROTOCOLS = ("tcp", "udp", *_PORTLESS)
_WORDS = ("in", "out", "on", "proto", "from", "to", "port")
#: as ufw takes it (UFWRule.set_interface), but not the beginning of an option
_INTERFACE = re.compile(r"(?!-|\.{1,2}\Z)[A-Za-z0-9_.+,=%@-]{1,15}\Z", re.ASCII)
#: what xt_multiport takes
_MOST_PORTS = 15


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
        _take(tables, RULES[family], "ufw", firewall)
        _take(tables, after_rules(family, firewall), AFTER[family], firewall)
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


def after_rules(family: Family, firewall: Firewall) -> str:
    """after.rules, or after6.rules, in the words of iptables-save, line by line."""
    key = AFTER[family]
    lines = []
    for number, line in enumerate(firewall.files.get(key, "").split("\n"), 1):
        if line.startswith("-A "):
            with at_line(firewall, key, number):
                try:
                    _, chain, *words = (word for word, _ in words_of(line))
                except ValueError:  # a quote without its end, or no chain
                    raise UsageError(f"firewall: {key}: {line!r} is not a line of iptables-save") from None
                line = f"-A {chain} {arguments.canonical(family, words)}"
        lines.append(line)
    return "".join(line + "\n" for line in lines)


@dataclass(slots=True)
class _Chain:
    policy: str | None
    rules: list[Rule]


def _take(tables: dict[str, dict[str, _Chain]], text: str, reason: str, firewall: Firewall) -> None:
    """Add the tables of an iptables-save text; raises UsageError for an invalid line."""
    table: dict[str, _Chain] = {}
    for one in saved_lines(text):
        if one.kind == "table":
            table = tables.setdefault(one.text, {})
        elif one.kind == "chain":
            table.setdefault(one.chain, _Chain(one.policy, []))
        elif one.kind == "rule" and not one.inserted and one.chain in table:
            table[one.chain].rules.append(Rule(one.text, _reason(one.chain, one.text, reason)))
        else:
            with at_line(firewall, reason, one.number):
                what = "is not a line of iptables-save for a chain of that table"
                raise UsageError(f"firewall: {reason}: {one.line!r} {what}")


def _reason(chain: str, rule: str, origin: str) -> str:
    target = rule.rpartition("-j ")[2].split(" ")[0]
    if origin == "ufw" and target.startswith("ufw"):
        return f"ufw: on to {target}"
    return f"{origin}'s own, in {chain}" if origin == "ufw" else f"the administrator's own, from {origin}"


def _frozen(name: str, chains: dict[str, _Chain]) -> Table:
    return Table(name, tuple(Chain(c, found.policy, tuple(found.rules)) for c, found in chains.items()))


# -- rules


def entries(firewall: Firewall) -> list[Allowed]:
    """What the scenario lists below ``allow``, ``route_allow`` and ``rules``, in order.

    Raises UsageError for what ufw would not take, or what is not reproduced.
    """
    found = []
    for key, before in (("allow", "allow "), ("route_allow", "route allow "), ("rules", "")):
        for number, text in enumerate(_list(firewall.options.get(key))):
            with at(firewall, f"{key}.{number}"):
                found.append(_entry(before + text))
    return found


def _list(value: JsonValue) -> list[str]:
    return [str(one) for one in (value if isinstance(value, list) else [] if value is None else [value])]


def _entry(text: str) -> Allowed:
    """``[route] ACTION [in|out] …``, as ufw takes it."""
    words = text.split()
    route = words[:1] == ["route"]
    del words[: int(route)]
    action = words.pop(0) if words else ""
    if action not in _ACTIONS:
        raise _wrong(text, f"{action!r} is none of {', '.join(_ACTIONS)}{hint(action, _ACTIONS)}")
    chain = "forward" if route else "input"
    if not route and words[:1] in (["in"], ["out"]):
        chain = {"in": "input", "out": "output"}[words[0]]
        if words[1:2] != ["on"]:
            del words[0]
    if not words:
        raise _wrong(text, f"what is it to {action}? Write {action} 80/tcp, or {action} from 192.0.2.1")
    if len(words) == 1:
        ports, _, protocol = words[0].partition("/")
        _check(text, ports, protocol)
        return Allowed(text, protocol=protocol, dports=ports, action=action, chain=chain)
    found = _parts(text, words)
    for key in ("sports", "dports"):
        if key in found:
            _check(text, found[key], found.get("protocol", ""))
    if ("outgoing" in found and chain == "input") or ("incoming" in found and chain == "output"):
        raise _wrong(text, "what passes from one interface to another is a route rule")
    if len({Family.of(found[key]) for key in ("source", "destination") if key in found}) > 1:
        raise _wrong(text, f"{found['source']} and {found['destination']} are not of one family")
    return Allowed(text, action=action, chain=chain, **found)


def _parts(text: str, words: Sequence[str]) -> dict[str, str]:
    """The fields of an :class:`Allowed` that the words of the long form say."""
    found: dict[str, str] = {}
    side = ""
    rest = iter(words)

    def say(key: str, value: str) -> None:
        if key in found:
            raise _wrong(text, f"{found[key]} and {value} cannot be combined")
        found[key] = value

    for word in rest:
        if word in ("in", "out"):
            if next(rest, "") != "on":
                raise _wrong(text, f"{word} on INTERFACE is expected")
            say({"in": "incoming", "out": "outgoing"}[word], _interface(text, next(rest, "")))
        elif word == "proto":
            say("protocol", _protocol(text, next(rest, "")))
        elif word in ("from", "to"):
            side = word
            address = next(rest, "")
            if address != "any":
                say({"from": "source", "to": "destination"}[word], _address(text, address))
        elif word == "port" and side:
            say({"from": "sports", "to": "dports"}[side], next(rest, ""))
        else:
            raise _wrong(text, f"{word!r} is not reproduced{hint(word, _WORDS)}")
    return found


def _interface(text: str, name: str) -> str:
    if not _INTERFACE.match(name):
        raise _wrong(text, f"{name!r} is not the name of an interface")
    return name


def _protocol(text: str, name: str) -> str:
    if name not in (*_PROTOCOLS, "any"):
        more = hint(name, _PROTOCOLS) or f": only {', '.join(_PROTOCOLS)} are"
        raise _wrong(text, f"protocol {name!r} is not reproduced{more}")
    return "" if name == "any" else name


def _address(text: str, address: str) -> str:
    try:
        return arguments.network(Family.of(address), address)
    except UsageError:
        raise _wrong(text, f"{address!r} is not an address") from None


def _check(text: str, ports: str, protocol: str) -> None:
    if not _PORTS.match(ports):
        raise _wrong(text, f"{ports!r} is not a port: services by name are not reproduced")
    for part in ports.split(","):
        low, _, high = part.partition(":")
        if not 1 <= int(low) <= int(high or low) <= 65535:
            raise _wrong(text, f"{part!r} is not a port or a range of ports (1-65535)")
    if ports.count(",") + ports.count(":") >= _MOST_PORTS:
        raise _wrong(text, f"{ports!r} has more than {_MOST_PORTS} ports (a range counts as two)")
    if _protocol(text, protocol or "any") in _PORTLESS:
        raise _wrong(text, f"the protocol {protocol} has no ports")
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
