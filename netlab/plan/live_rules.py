"""A node's current rules, as iptables-save and nft print them, each with the plan's reason."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netlab.model.family import Family
from netlab.model.iptables_save import saved_lines
from netlab.model.rules import ADDED_SINCE, IptablesRuleset, NftTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from netlab.model.plan import Node


#: The reason of a rule that the plan does not know.
FOREIGN = ADDED_SINCE


@dataclass(frozen=True, slots=True)
class LiveRule:
    """A rule in the kernel: its counters, its text after ``-A CHAIN``, and its reason."""

    packets: int
    bytes: int
    text: str
    reason: str


@dataclass(slots=True)
class LiveChain:
    """A chain with its rules, its policy (None: user-defined chain) and the policy's counters.

    ::

        for rule in lab.rules(family=4).chain("DOCKER-USER").rules:
            print(rule.packets, rule.text, rule.reason)
    """

    table: str
    name: str
    policy: str | None
    packets: int = 0
    bytes: int = 0
    rules: list[LiveRule] = field(default_factory=list)


class Reasons:
    """The plan's reasons for the rules of one node, by (nft family, table, chain) and text, in order."""

    def __init__(self, node: Node) -> None:
        self._found: dict[tuple[str, str, str], dict[str, deque[str]]] = {}
        for ruleset in node.rulesets:
            if isinstance(ruleset, IptablesRuleset):
                for table in ruleset.tables:
                    for chain in table.chains:
                        rules = [(rule.text, rule.reason) for rule in chain.rules]
                        self._learn((ruleset.family.nft, table.name, chain.name), rules)
            elif isinstance(ruleset, NftTable):
                for native in ruleset.chains:
                    texts = [(bare_rule(rule.text), rule.reason) for rule in native.rules]
                    self._learn((ruleset.family, ruleset.name, native.name), texts)

    def _learn(self, key: tuple[str, str, str], rules: Iterable[tuple[str, str]]) -> None:
        known = self._found.setdefault(key, {})
        for text, reason in rules:
            known.setdefault(text, deque()).append(reason)

    def take(self, family: str, table: str, chain: str, text: str) -> str:
        """The reason of the next rule with this text in the chain."""
        waiting = self._found.get((family, table, chain), {}).get(text)
        return waiting.popleft() if waiting else FOREIGN


def parse_save(dump: str, family: Family, reasons: Reasons) -> list[LiveChain]:
    """The chains of ``iptables-save -c`` output, in its order."""
    chains: dict[tuple[str, str], LiveChain] = {}
    for one in saved_lines(dump):
        key = (one.table, one.chain)
        if one.kind == "chain":
            chains[key] = LiveChain(*key, one.policy, one.packets, one.bytes)
        elif one.kind == "rule":
            reason = reasons.take(family.nft, *key, one.text)
            chains[key].rules.append(LiveRule(one.packets, one.bytes, one.text, reason))
    return list(chains.values())


def save_lines(chains: Iterable[LiveChain], *, counters: bool, reasons: bool) -> Iterator[str]:
    """The chains as ``iptables-save`` prints them, a rule's reason as a comment line above it."""
    by_table: dict[str, list[LiveChain]] = {}
    for chain in chains:
        by_table.setdefault(chain.table, []).append(chain)
    for table, members in by_table.items():
        yield f"*{table}"
        for chain in members:
            yield f":{chain.name} {chain.policy or '-'} [{chain.packets}:{chain.bytes}]"
        for chain in members:
            for rule in chain.rules:
                if reasons:
                    yield f"# {rule.reason}"
                lead = f"[{rule.packets}:{rule.bytes}] " if counters else ""
                yield f"{lead}-A {chain.name} {rule.text}".rstrip()
        yield "COMMIT"


def bare_rule(text: str) -> str:
    """A native rule without its counters' values."""
    return re.sub(r"counter packets \d+ bytes \d+", "counter", text)


def native_tables(listing: str, iptables: dict[str, list[LiveChain]]) -> list[tuple[str, str]]:
    """(family, name) of the tables of ``nft list tables`` that iptables did not make."""
    made = {(family, chain.table) for family, chains in iptables.items() for chain in chains}
    found = [tuple(line.split()[1:3]) for line in listing.splitlines() if line.startswith("table ")]
    return [(family, name) for family, name in found if (family, name) not in made]


@dataclass(frozen=True, slots=True)
class NativeTable:
    """An nftables table that iptables cannot show, as ``nft list table`` prints it."""

    family: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one node. ``str()`` gives all of them as the tools print them, with reasons.

    ::

        rules = lab.rules("host")
        print(rules)
        print([table.name for table in rules.native])  # nftables tables that iptables cannot show
    """

    node: str
    iptables: Mapping[Family, tuple[LiveChain, ...]]
    native: tuple[NativeTable, ...]

    def chain(self, name: str, *, table: str = "filter", family: int = 4) -> LiveChain:
        """One iptables chain; ``family`` is 4 or 6. Raises KeyError if there is no such chain.

        ::

            chain = lab.rules().chain("DOCKER", table="nat")
            print(chain.rules[0].text, chain.rules[0].reason)
        """
        for chain in self.iptables.get(Family(family), ()):
            if (chain.table, chain.name) == (table, name):
                return chain
        raise KeyError(f"{Family(family).iptables} -t {table} has no chain {name} in {self.node}")

    def __str__(self) -> str:
        lines: list[str] = []
        for family, chains in self.iptables.items():
            lines += [f"# {family.iptables}-save", *save_lines(chains, counters=True, reasons=True)]
        for table in self.native:
            lines += [f"# nft list table {table.family} {table.name}", *table.text.splitlines()]
        return "\n".join(lines)
