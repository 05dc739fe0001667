"""An iptables ruleset in the making: chains and rules in the order in which firewalld writes them."""

from __future__ import annotations

from netlab.model.family import Family
from netlab.model.rules import BASE_CHAINS, Chain, IptablesRuleset, Rule, Table


class Chains:
    """The tables of one family."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self._tables: dict[str, dict[str, list[Rule]]] = {}

    def make(self, table: str, *chains: str) -> None:
        """``-N``: chains of firewalld's own; the table comes with its base chains."""
        found = self._tables.setdefault(table, {name: [] for name in BASE_CHAINS[table]})
        for chain in chains:
            found.setdefault(chain, [])

    def has(self, table: str, chain: str) -> bool:
        """Whether the chain exists."""
        return chain in self._tables.get(table, ())

    def add(self, table: str, chain: str, text: str, reason: str) -> None:
        """``-A``; raises KeyError if there is no such chain."""
        self._tables[table][chain].append(Rule(text, reason))

    def insert(self, table: str, chain: str, text: str, reason: str) -> None:
        """``-I``; raises KeyError if there is no such chain."""
        self._tables[table][chain].insert(0, Rule(text, reason))

    def freeze(self) -> IptablesRuleset:
        """The ruleset as ``iptables-save`` prints it; every base chain accepts."""
        tables = []
        for name, base in BASE_CHAINS.items():
            chains = self._tables.get(name)
            if chains is not None:
                order = [*base, *sorted(chain for chain in chains if chain not in base)]
                made = (Chain(c, "ACCEPT" if c in base else None, tuple(chains[c])) for c in order)
                tables.append(Table(name, tuple(made)))
        return IptablesRuleset(self.family, tuple(tables))
