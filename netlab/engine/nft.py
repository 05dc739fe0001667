"""A native nftables ruleset that can be worked on: the tables that Docker's nftables backend keeps."""

from __future__ import annotations

from dataclasses import dataclass, field

from netlab.model.family import Family
from netlab.model.rules import NftChain, NftRule, NftTable


@dataclass(slots=True)
class WorkingNftChain:
    """One chain: its hook, and its rules in groups, which the backend keeps apart and in order."""

    name: str
    hook: str = ""
    groups: dict[int, list[NftRule]] = field(default_factory=dict)
    _texts: set[str] = field(default_factory=set)

    def add(self, group: int, text: str, reason: str) -> bool:
        """Append a rule to a group; False, and nothing done, if it is there already."""
        if text in self._texts:
            return False
        self._texts.add(text)
        self.groups.setdefault(group, []).append(NftRule(text, reason))
        return True

    def remove(self, group: int, text: str) -> None:
        """Delete a rule, if it is there."""
        self._texts.discard(text)
        rules = self.groups.get(group, [])
        for index, rule in enumerate(rules):
            if rule.text == text:
                del rules[index]
                return

    def freeze(self) -> NftChain:
        """The chain as data."""
        rules = tuple(rule for group in sorted(self.groups) for rule in self.groups[group])
        return NftChain(self.name, self.hook, rules)


@dataclass(slots=True)
class WorkingNftTable:
    """One table: verdict maps by interface name, base chains, and chains made for networks."""

    family: Family
    name: str
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    chains: dict[str, WorkingNftChain] = field(default_factory=dict)

    def freeze(self) -> NftTable:
        """The table as data: maps, then chains by kind, each sorted as nft lists what Docker wrote."""
        objects = tuple("\n".join(_map_lines(name, elements)) for name, elements in self.maps.items())
        return NftTable(self.family.nft, self.name, objects, tuple(c.freeze() for c in self.chains.values()))


def _map_lines(name: str, elements: dict[str, str]) -> list[str]:
    """A map with its elements in the order in which nft lists them.

    nft sorts names of interfaces as numbers of the machine's byte order (list_setelem_sort of nftables'
    mergesort.c): on the little-endian machines that netlab runs on, the last letters count most.
    """
    lines = [f"map {name} {{", "\ttype ifname : verdict"]
    if elements:
        shown = [f'"{key}" : {verdict}' for key, verdict in sorted(elements.items(), key=_number)]
        lines.append("\telements = { " + ",\n\t\t     ".join(shown) + " }")
    return [*lines, "}"]


def _number(element: tuple[str, str]) -> int:
    return int.from_bytes(element[0].encode(), "little")


@dataclass(slots=True)
class NftTables:
    """The native tables of a host."""

    tables: dict[Family, WorkingNftTable] = field(default_factory=dict)

    def freeze(self) -> tuple[NftTable, ...]:
        """Each table as data."""
        return tuple(table.freeze() for table in self.tables.values())
