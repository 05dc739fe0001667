"""What ``netlab drift`` finds on a host, and what it compares: rules by family, table and chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from netlab.engine.found import elements_of
from netlab.model.rules import IptablesRuleset, NftTable, Ruleset, with_sorted_sets

#: The ten ways in which a host is not as its engine would have made it.
Kind = Literal[
    "missing", "order", "left-over", "doubled", "foreign", "unreachable", "legacy", "policy", "forwarding",
    "bridge-netfilter",
]  # fmt: skip
#: how many rules of one finding are shown
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A chain: ``family`` is nft's word (ip, ip6), ``native`` a table that iptables cannot show.

    A map of a native table is a place, too: its elements are the rules.
    """

    family: str
    table: str
    chain: str
    native: bool = False

    @property
    def command(self) -> str:
        """What changes it: ``iptables -t nat``."""
        if self.native:
            return "nft"
        return f"{'iptables' if self.family == 'ip' else 'ip6tables'} -t {self.table}"

    @property
    def name(self) -> str:
        """``ip nat DOCKER``."""
        return f"{self.family} {self.table} {self.chain}"


Chains = Mapping[Place, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Mended:
    """What a host has once one finding is mended, as far as it is not as it was found."""

    chains: Chains = field(default_factory=dict)
    policies: Mapping[Place, str] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: what, what it means for packets, and what mends it.

    ``rules`` are those that it is about, as commands would name them; ``tool``: which program a foreign one
    looks like; ``evidence``: what on the host says who did it. ``unpredicted``: why nothing can be said about
    the flows that ``mended`` would change.
    """

    kind: Kind
    what: str
    means: str
    mend: str
    rules: tuple[str, ...] = ()
    tool: str = ""
    evidence: tuple[str, ...] = ()
    mended: Mended = Mended()
    unpredicted: str = ""


def chains_of(rulesets: Iterable[Ruleset]) -> dict[Place, tuple[str, ...]]:
    """The rules of each chain, in order; a map of nft's counts as a chain of its elements."""
    return dict(_chains(rulesets))


def _chains(rulesets: Iterable[Ruleset]) -> Iterator[tuple[Place, tuple[str, ...]]]:
    for one in rulesets:
        if isinstance(one, IptablesRuleset):
            for table in one.tables:
                for chain in table.chains:
                    place = Place(one.family.nft, table.name, chain.name)
                    yield place, tuple(rule.text for rule in chain.rules)
        elif isinstance(one, NftTable):
            for name, elements in elements_of(one).items():
                lines = tuple(f"{key} : {value}" for key, value in elements.items())
                yield Place(one.family, one.name, name, native=True), lines
            for native in one.chains:
                rules = tuple(with_sorted_sets(rule.text) for rule in native.rules)
                yield Place(one.family, one.name, native.name, native=True), rules


def shown(place: Place, rules: Iterable[str]) -> tuple[str, ...]:
    """The first rules of a finding, each with its chain."""
    words = f"{place.chain}:" if place.native else f"-A {place.chain}"
    return tuple(f"{words} {rule}" for rule in list(rules)[:_SHOWN])


def rules_in_words(count: int) -> str:
    """``1 rule``, ``2 rules``."""
    return f"{count} rule{'s' * (count != 1)}"


def deletion(place: Place, rules: Sequence[str]) -> str:
    """The command that deletes the first of these rules."""
    if place.native:
        return f"nft -a list chain {place.name}; nft delete rule {place.name} handle N"
    more = "" if len(rules) == 1 else f"  # and {len(rules) - 1} more"
    return f"{place.command} -D {place.chain} {rules[0]}{more}"


def without(rules: Sequence[str], gone: Iterable[str]) -> tuple[str, ...]:
    """The rules of a chain after each of these was deleted once: the first that reads so, as ``-D`` does."""
    left = list(rules)
    for rule in gone:
        if rule in left:
            left.remove(rule)
    return tuple(left)
