"""Commands that an administrator types on a host, applied to the model of its namespace.

What the model does not know of a command is noted; flows that pass there are then not predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netlab.firewall.arguments import canonical
from netlab.model.errors import UsageError
from netlab.model.family import Family
from netlab.model.rules import BASE_CHAINS, IpSet
from netlab.model.scenario import HostRule
from netlab.predict.host import Namespace, add_route
from netlab.predict.nft_list import FAMILIES, TableReader, shown
from netlab.predict.nft_tokens import Tokens, tokens_of
from netlab.predict.packet import address_number
from netlab.predict.routes import MAIN, TABLES, Kind, PolicyRule, RouteEntry
from netlab.predict.rules import ModelChain, ModelTable
from netlab.predict.syntax import Where, Word
from netlab.predict.xt_save import base_chain, lookup_of, rule_of

_ACTIONS = {
    "-A": "append", "--append": "append", "-I": "insert", "--insert": "insert", "-D": "delete",
    "--delete": "delete",
    "-P": "policy", "--policy": "policy", "-N": "new", "--new-chain": "new", "-F": "flush",
    "--flush": "flush",
}  # fmt: skip
_ROUTE_ACTIONS = ("add", "replace", "change", "del")
_ROUTE_KINDS: Mapping[str, Kind] = {
    "unicast": "unicast", "local": "local", "broadcast": "broadcast", "blackhole": "blackhole",
    "unreachable": "unreachable", "prohibit": "prohibit", "throw": "throw",
}  # fmt: skip


class _Unknown(Exception):
    """The model does not know what a command does."""


@dataclass(slots=True)
class Typist:
    """Applies commands to one namespace. ``readers`` are the native tables, ``sets`` those of ipset."""

    space: Namespace
    readers: dict[tuple[str, str], TableReader] = field(default_factory=dict)
    sets: dict[str, IpSet] = field(default_factory=dict)

    def type(self, rule: HostRule) -> None:
        """Apply one command."""
        program, *words = rule.argv
        where = Where(rule.position.file, rule.position.line)
        try:
            if program in ("iptables", "ip6tables"):
                family = Family.IPV6 if program == "ip6tables" else Family.IPV4
                self._iptables(family, words, Where(where.file, where.line, family))
            elif program == "nft":
                self._nft(words, where)
            elif program == "ip":
                self._ip(words)
            elif program == "sysctl":
                self._sysctl(words)
            else:
                raise _Unknown
        except (_Unknown, UsageError, LookupError, ValueError):
            self.space.unknown.append(f"the model does not know the command {rule.text}")

    # -- iptables

    def _iptables(self, family: Family, words: list[str], where: Where) -> None:
        table, words = _table_of([word for word in words if word not in ("-w", "--wait")])
        action = _ACTIONS.get(words[0])
        if action is None:
            raise _Unknown
        found = self._table(family, table)
        if action == "flush":
            for chain in found.chains.values() if len(words) == 1 else (found.chains[words[1]],):
                chain.rules.clear()
            return
        name, rest = words[1], words[2:]
        if action == "new":
            found.chains.setdefault(name, ModelChain(name))
            return
        if name in BASE_CHAINS[table]:
            found.chains.setdefault(name, base_chain(table, name))
        chain = found.chains[name]
        if action == "policy":
            chain.policy = "drop" if rest[0] == "DROP" else "accept"
            return
        self._rule(action, chain, found, family, rest, where)

    def _rule(
        self,
        action: str,
        chain: ModelChain,
        table: ModelTable,
        family: Family,
        words: list[str],
        where: Where,
    ) -> None:
        place = 0
        if words and words[0].isdecimal():
            place, words = int(words[0]) - 1, words[1:]
            if action == "delete":
                del chain.rules[place]
                return
        line = f"-A {chain.name} {_printed(family, words)}"
        typed = [Word(word, 1) for word in words]
        known = {name: lookup_of(one) for name, one in self.sets.items()}
        rule = rule_of(line, typed, where, table.chains, known, chain.name)
        if action == "append":
            chain.rules.append(rule)
        elif action == "insert":
            chain.rules.insert(place, rule)
        else:
            chain.rules.remove(next(other for other in chain.rules if other.text == rule.text))

    def _table(self, family: Family, name: str) -> ModelTable:
        for table in self.space.tables:
            if table.iptables and (table.family, table.name) == (family.nft, name):
                return table
        made = ModelTable(family.nft, name, iptables=True)
        self.space.tables.append(made)
        return made

    # -- nft

    def _nft(self, words: Sequence[str], where: Where) -> None:
        tokens = Tokens(tokens_of(" ".join(words), where.line), where)
        action, what = tokens.take(), tokens.take()
        family = tokens.take() if tokens.next in FAMILIES else "ip"
        name = tokens.take()
        if action not in ("add", "create", "insert"):
            raise _Unknown
        reader = self._reader(family, name, make=what == "table")
        if what == "table":
            return
        if what == "chain":
            reader.declare(tokens.take(), tokens.block() if tokens else [])
        elif what in ("set", "map"):
            reader.read_set(what, tokens.take(), tokens.block())
        elif what == "element" and not any(chain.rules for chain in reader.table.chains.values()):
            reader.add_elements(tokens.take(), tokens)
        elif what == "rule":
            chain = reader.table.chains[tokens.take()]
            line = tokens.statement()
            rule = reader.rule(line, shown(line))
            chain.rules.insert(0 if action == "insert" else len(chain.rules), rule)
        else:
            raise _Unknown

    def _reader(self, family: str, name: str, *, make: bool) -> TableReader:
        known = self.readers.get((family, name))
        if known is not None:
            return known
        if not make:
            raise _Unknown
        made = self.readers[family, name] = TableReader(ModelTable(family, name), "nft")
        self.space.tables.append(made.table)
        return made

    # -- ip and sysctl

    def _ip(self, words: list[str]) -> None:
        forced = None
        while words[0] in ("-4", "-6"):
            forced, words = Family(int(words[0][1])), words[1:]
        if words[0] in ("rule", "ru"):
            self._policy(words[1], words[2:], forced)
            return
        if words[0] not in ("route", "r", "ro") or words[1] not in _ROUTE_ACTIONS:
            raise _Unknown
        action, words = words[1], words[2:]
        kind: Kind = "unicast"
        if words[0] in _ROUTE_KINDS:
            kind, words = _ROUTE_KINDS[words[0]], words[1:]
        destination, rest = words[0], dict(zip(words[1::2], words[2::2], strict=True))
        if set(rest) - {"via", "dev", "src", "table"}:
            raise _Unknown
        family = forced or Family.of(destination + rest.get("via", ""))
        number = rest.get("table", "main")
        table = TABLES[number] if number in TABLES else int(number)
        tables = self.space.routes[family]
        if action != "add":
            start, length = (0, 0) if destination == "default" else _network(destination, family)
            via = address_number(rest["via"]) if action == "del" and "via" in rest else None
            device = rest.get("dev") if action == "del" else None
            tables.remove(RouteEntry(start, length, interface=device, via=via), table)
        if action != "del":
            hop, device, source = rest.get("via"), rest.get("dev"), rest.get("src")
            add_route(self.space, tables, destination, hop, device, source, table, kind)

    def _policy(self, action: str, words: list[str], forced: Family | None) -> None:
        """``ip rule add`` and ``del``: one more rule of the policy, or the first that fits less."""
        rule, given, family = _policy_rule(words, forced)
        rules = self.space.routes[family].rules
        if action == "add":
            if "priority" not in given:  # fib_default_rule_pref: just before the second rule of all
                ordered = sorted(rules, key=lambda one: one.priority)
                second = ordered[1].priority if len(ordered) > 1 else 0
                rule = replace(rule, priority=max(second - 1, 0))
            # after those of the same priority (fib_nl_newrule)
            rules.append(rule)
            return
        if action not in ("del", "delete"):
            raise _Unknown
        rules.remove(
            next(one for one in rules if all(getattr(one, name) == getattr(rule, name) for name in given))
        )

    def _sysctl(self, words: list[str]) -> None:
        for word in words:
            if not word.startswith("-"):
                key, sign, value = word.partition("=")
                if not sign:
                    raise _Unknown
                self.space.sysctls[key.replace("/", ".") if "." not in key else key] = value


def _printed(family: Family, words: list[str]) -> str:
    """A rule as iptables-save prints it, or (with an option that nobody knows) as it was typed."""
    try:
        return canonical(family, words)
    except UsageError:
        return " ".join(words)


def _table_of(words: list[str]) -> tuple[str, list[str]]:
    """The table that a line names, and its other words."""
    for number, word in enumerate(words):
        if word in ("-t", "--table"):
            return words[number + 1], words[:number] + words[number + 2 :]
    return "filter", words


#: words of ``ip rule`` that mean the same
_SYNONYMS = {
    "preference": "priority", "pref": "priority", "order": "priority", "lookup": "table", "dev": "iif",
}  # fmt: skip
_POLICY_KINDS: Mapping[str, Kind] = {
    "blackhole": "blackhole", "unreachable": "unreachable", "prohibit": "prohibit",
}  # fmt: skip


def _policy_rule(words: list[str], forced: Family | None) -> tuple[PolicyRule, set[str], Family]:
    """A line of ``ip rule`` with the names of the fields that it gives, and its family."""
    found: dict[str, Any] = {}
    family = forced
    rest = [word for word in words if word != "not"]
    if len(rest) != len(words):
        found["negated"] = True
    if rest and rest[-1] in _POLICY_KINDS:
        found |= {"kind": _POLICY_KINDS[rest.pop()], "table": None}
    for option, value in zip(rest[::2], rest[1::2], strict=True):
        name = _SYNONYMS.get(option, option)
        if name in ("from", "to"):
            if value in ("all", "default"):
                continue
            family = forced or Family.of(value.partition("/")[0])
            found["source" if name == "from" else "destination"] = _network(value, family)
        elif name == "fwmark":
            number, _, mask = value.partition("/")
            found["mark"] = int(number, 0), int(mask, 0) if mask else 0xFFFFFFFF
        elif name in ("iif", "oif"):
            found[name] = value
        elif name == "priority":
            found[name] = int(value)
        elif name == "table":
            found[name] = TABLES[value] if value in TABLES else int(value)
        else:
            raise _Unknown
    given = set(found)
    if "kind" not in found:
        found.setdefault("table", MAIN)
    rule = PolicyRule(found.pop("priority", 0), found.pop("table"), **found)
    return rule, given, family or Family.IPV4


def _network(text: str, family: Family) -> tuple[int, int]:
    address, _, size = text.partition("/")
    length = int(size) if size else family.bits
    return address_number(address) >> (family.bits - length) << (family.bits - length), length
