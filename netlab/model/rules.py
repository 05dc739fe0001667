"""Firewall rules as data, in the words of the tool that writes them, each with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from netlab.model.family import Family
from netlab.model.problem import Position

#: The reason of a rule, or of a setting, that nobody planned.
ADDED_SINCE = "not in the plan: added since"
#: The reason of a rule that a scenario's file of found rules has, and that the engine would not write.
FOUND = "found on the host"

#: The base chains of each table in hook order; the tables in the order of iptables-save (nft backend).
BASE_CHAINS = {
    "mangle": ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"),
    "security": ("INPUT", "FORWARD", "OUTPUT"),
    "raw": ("PREROUTING", "OUTPUT"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    ``text`` is what ``iptables-save`` prints after ``-A CHAIN`` (or ``nft list`` on one line): canonical, so
    that a plan can be compared with a dump. ``reason`` is for people: "port 80 of httpd on nw, published".
    """

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain. ``policy`` is ``ACCEPT`` or ``DROP``; None for a user-defined chain."""

    name: str
    policy: str | None = None
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """An iptables table: base chains in hook order, then the others by name, as -save prints them."""

    name: str
    chains: tuple[Chain, ...] = ()

    def chain(self, name: str) -> Chain | None:
        """The chain of that name, or None."""
        for chain in self.chains:
            if chain.name == name:
                return chain
        return None


@dataclass(frozen=True, slots=True)
class IpSet:
    """A set of subnets (``hash:net``) that rules match with ``-m set``; iptables-save does not show it."""

    name: str
    family: Family
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IptablesRuleset:
    """Everything that ``iptables-save`` (or ``ip6tables-save``) would print; no table, no line.

    ``sets`` are what its rules refer to, made before them. ``places`` says where in the scenario's files
    rules are written: table, text of the rule, position.
    """

    family: Family
    tables: tuple[Table, ...] = ()
    sets: tuple[IpSet, ...] = ()
    places: tuple[tuple[str, str, Position], ...] = field(default=(), compare=False)

    def table(self, name: str) -> Table | None:
        """The table of that name, or None."""
        for table in self.tables:
            if table.name == name:
                return table
        return None


@dataclass(frozen=True, slots=True)
class NftRule:
    """One rule of a native nftables chain, and its reason."""

    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class NftChain:
    """A native chain; ``hook`` is ``type filter hook forward priority 0; policy accept`` or empty."""

    name: str
    hook: str = ""
    rules: tuple[NftRule, ...] = ()


@dataclass(frozen=True, slots=True)
class NftTable:
    """A native nftables table. ``objects`` are maps and sets as nft text, before the chains."""

    family: str
    name: str
    objects: tuple[str, ...] = ()
    chains: tuple[NftChain, ...] = ()


@dataclass(frozen=True, slots=True)
class NftFile:
    """An administrator's own nftables file, loaded as it is, before anything else; ``origin`` is its name."""

    text: str
    origin: str


Ruleset = IptablesRuleset | NftTable | NftFile

_SET = re.compile(r"\{ ([^{}]*) \}")


def with_sorted_sets(text: str) -> str:
    """A native rule with the members of its sets sorted, for comparisons: nft lists them in its own order."""
    return _SET.sub(lambda members: "{ " + ", ".join(sorted(members[1].split(", "))) + " }", text)
