"""The table ``inet netavark``: chains in the order in which they were made, rules added at either end."""

from __future__ import annotations

from dataclasses import dataclass, field

from netlab.model.rules import NftChain, NftRule, NftTable

FAMILY, NAME = "inet", "netavark"


@dataclass(slots=True)
class NetavarkTable:
    """netavark keeps no account of its rules: each time it looks for them in the table."""

    hooks: dict[str, str] = field(default_factory=dict)
    chains: dict[str, list[NftRule]] = field(default_factory=dict)

    @classmethod
    def of(cls, table: NftTable) -> NetavarkTable:
        """A table as it was found."""
        return cls(
            {chain.name: chain.hook for chain in table.chains if chain.hook},
            {chain.name: list(chain.rules) for chain in table.chains},
        )

    def chain(self, name: str, hook: str = "") -> None:
        """``add chain``: nothing if there is one of that name."""
        if name not in self.chains:
            self.chains[name] = []
            if hook:
                self.hooks[name] = hook

    def has(self, chain: str, part: str) -> bool:
        """Whether a rule of the chain has this text in it."""
        return any(part in rule.text for rule in self.chains[chain])

    def add(self, chain: str, text: str, reason: str) -> None:
        """``add rule``."""
        self.chains[chain].append(NftRule(text, reason))

    def insert(self, chain: str, text: str, reason: str) -> None:
        """``insert rule``."""
        self.chains[chain].insert(0, NftRule(text, reason))

    def delete(self, chain: str, part: str) -> None:
        """Delete every rule of the chain that has this text in it."""
        if chain in self.chains:
            self.chains[chain] = [rule for rule in self.chains[chain] if part not in rule.text]

    def delete_equal(self, chain: str, text: str) -> None:
        """Delete every rule of exactly this text."""
        if chain in self.chains:
            self.chains[chain] = [rule for rule in self.chains[chain] if rule.text != text]

    def drop_chain(self, name: str) -> None:
        """``delete chain``, if there is one."""
        self.chains.pop(name, None)

    def freeze(self) -> NftTable:
        """The table as data."""
        chains = (NftChain(name, self.hooks.get(name, ""), (*rules,)) for name, rules in self.chains.items())
        return NftTable(FAMILY, NAME, (), tuple(chains))
