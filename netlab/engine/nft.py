"""A native nftables ruleset that can be worked on: the tables that Docker's nftables backend keeps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from netlab.model.family import Family
from netlab.model.rules import ADDED_SINCE, NftChain, NftRule, NftTable


@dataclass(slots=True)
class WorkingNftChain:
    """One chain: its hook, and its rules in groups, which the backend keeps apart and in order."""

    name: str
    hook: str = ""
    groups: dict[int, list[NftRule]] = field(default_factory=dict)
    #: whether the event of the moment has written it
    touched: bool = True
    _texts: set[str] = field(default_factory=set)

    def add(self, group: int, text: str, reason: str) -> bool:
        """Append a rule to a group; False, and nothing done, if it is there already."""
        if text in self._texts:
            return False
        self._texts.add(text)
        self.touched = True
        self.groups.setdefault(group, []).append(NftRule(text, reason))
        return True

    def remove(self, group: int, text: str) -> None:
        """Delete a rule, if it is there."""
        self._texts.discard(text)
        rules = self.groups.get(group, [])
        for index, rule in enumerate(rules):
            if rule.text == text:
                del rules[index]
                self.touched = True
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
    #: what the event of the moment has taken out: (map, key) and names of chains
    lost_elements: list[tuple[str, str]] = field(default_factory=list)
    lost_chains: list[str] = field(default_factory=list)
    #: ... and the elements that it has put in
    new_elements: list[tuple[str, str]] = field(default_factory=list)

    def map_to(self, name: str, key: str, verdict: str) -> None:
        """Put an element into a map."""
        self.maps[name][key] = verdict
        self.new_elements.append((name, key))

    def unmap(self, name: str, key: str) -> None:
        """Take an element out of a map, if it is there."""
        if self.maps[name].pop(key, None) is not None:
            self.lost_elements.append((name, key))

    def drop_chain(self, name: str) -> None:
        """Delete a chain, if it is there."""
        if self.chains.pop(name, None) is not None:
            self.lost_chains.append(name)

    @property
    def written(self) -> bool:
        """Whether the event of the moment has changed anything."""
        marks = self.lost_elements or self.lost_chains or self.new_elements
        return bool(marks) or any(chain.touched for chain in self.chains.values())

    def settle(self) -> None:
        """The event is over."""
        self.lost_elements, self.lost_chains, self.new_elements = [], [], []
        for chain in self.chains.values():
            chain.touched = False

    def freeze(self) -> NftTable:
        """The table as data: maps, then chains by kind, each sorted as nft lists what Docker wrote."""
        objects = tuple("\n".join(map_lines(name, elements)) for name, elements in self.maps.items())
        return NftTable(self.family.nft, self.name, objects, tuple(c.freeze() for c in self.chains.values()))


def map_lines(name: str, elements: dict[str, str]) -> list[str]:
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
class FoundNftTable:
    """A table of Docker's as others have left it.

    Docker knows by heart what its table should hold. An event writes the chains that it changes, whole, and
    puts elements into maps and takes them out, in one transaction; where that fails, because something is
    not there that it takes out, the table is made anew. Source: moby 29, internal/nftables (Table.Apply).
    """

    table: NftTable
    maps: dict[str, dict[str, str]]
    chains: dict[str, NftChain]

    @classmethod
    def of(cls, table: NftTable) -> FoundNftTable:
        """What was found."""
        known = {map_name(text): map_elements(text) for text in table.objects if text.startswith("map ")}
        return cls(table, known, {chain.name: chain for chain in table.chains})

    def flush(self) -> None:
        """What a daemon does that starts: every chain and map of the table is emptied."""
        self.maps = {name: {} for name in self.maps}
        self.chains = {name: NftChain(name, chain.hook) for name, chain in self.chains.items()}

    def take(self, wanted: WorkingNftTable) -> bool:
        """Do what an event has done to the table that Docker knows; False where the transaction fails."""
        if not wanted.written:
            return True
        jumps = [rule.text for chain in self.chains.values() for rule in chain.rules]
        new = {(name, key): wanted.maps[name].get(key) for name, key in wanted.new_elements}
        if (
            any(key not in self.maps.get(name, {}) for name, key in wanted.lost_elements)
            or any(name not in self.chains for name in wanted.lost_chains)
            or any(text.endswith((f"jump {c}", f"goto {c}")) for c in wanted.lost_chains for text in jumps)
            or any(self.maps.get(name, {}).get(key, value) != value for (name, key), value in new.items())
        ):
            return False
        for name in wanted.maps:
            self.maps.setdefault(name, {})
        for name, key in wanted.lost_elements:
            del self.maps[name][key]
        for name in wanted.lost_chains:
            del self.chains[name]
        for name, chain in wanted.chains.items():
            if chain.touched:
                self.chains[name] = chain.freeze()
        for (name, key), value in new.items():
            if value is not None:
                self.maps[name][key] = value
        return True

    def freeze(self) -> NftTable | None:
        """The table as data; None if there is none."""
        others = [text for text in self.table.objects if not text.startswith("map ")]
        objects = ["\n".join(map_lines(name, elements)) for name, elements in self.maps.items()]
        if not (objects or others or self.chains):
            return None
        chains = sorted(self.chains.values(), key=lambda chain: not chain.hook)
        return NftTable(self.table.family, self.table.name, (*objects, *others), (*chains,))


@dataclass(slots=True)
class NftTables:
    """The native tables of a host: as Docker knows them, and those that others have changed."""

    tables: dict[Family, WorkingNftTable] = field(default_factory=dict)
    found: dict[Family, FoundNftTable] = field(default_factory=dict)

    def start(self) -> None:
        """A daemon starts, and knows nothing of its tables but their names."""
        self.tables.clear()
        for table in self.found.values():
            table.flush()

    def clear(self) -> None:
        """Delete the tables."""
        self.tables.clear()
        self.found.clear()

    def settle(self) -> None:
        """An event is over: what it wrote goes into what others had changed."""
        for family, table in self.tables.items():
            live = self.found.get(family)
            if live is not None and (not live.take(table) or _same(live.freeze(), table.freeze())):
                del self.found[family]
            table.settle()

    def freeze(self) -> tuple[NftTable, ...]:
        """Each table as data."""
        found = {family: table.freeze() for family, table in self.found.items()}
        tables = (found.get(f) if f in found else table.freeze() for f, table in self.tables.items())
        return tuple(table for table in tables if table is not None)


def _same(one: NftTable | None, other: NftTable) -> bool:
    return one is not None and {*one.chains} == {*other.chains} and {*one.objects} == {*other.objects}


_ELEMENT = re.compile(r'"([^"]+)" : ([^,}]+?)\s*(?=[,}])')


def map_name(text: str) -> str:
    """The name of a map as nft lists it."""
    return text.split()[1]


def map_elements(text: str) -> dict[str, str]:
    """The elements of a map as nft lists it."""
    return dict(_ELEMENT.findall(text))


def parse_table(text: str) -> NftTable:
    """What ``nft list table`` prints, without the values of counters."""
    lines = text.splitlines()
    family, name = lines[0].split()[1:3]
    objects, chains, body = [], [], list[str]()
    for line in lines[1:]:
        body.append(line[1:])
        if line != "\t}":
            continue
        head, *inner = (part for part in body if part)
        if head.startswith("chain "):
            chains.append(_chain(head.split()[1], [part[1:] for part in inner[:-1]]))
        else:
            objects.append("\n".join([head, *inner]))
        body = []
    return NftTable(family, name, tuple(objects), tuple(chains))


def _chain(name: str, lines: list[str]) -> NftChain:
    hook = ""
    if lines and lines[0].startswith("type "):
        hook = lines.pop(0).rstrip(";")
        for word, number in PRIORITIES.items():
            hook = hook.replace(f"priority {number};", f"priority {word};")
    texts = [re.sub(r"counter packets \d+ bytes \d+", "counter", line) for line in lines]
    return NftChain(name, hook, tuple(NftRule(text, ADDED_SINCE) for text in texts))


#: How nft 1.1 prints what older ones print as numbers at some hooks (nftables' std_prios).
PRIORITIES = {"raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100}
