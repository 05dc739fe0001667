"""Map a rule's handle to the line of the tool that wrote the rule.

A trace event names a rule by its handle. An iptables rule is shown as ``iptables-save`` prints it: the nth
rule of its chain in the kernel is the nth ``-A`` line of that chain. Every other rule is shown as ``nft -a
list ruleset`` prints it, which includes handles. The ruleset's generation is read before and after; if it has
changed, everything is read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from netlab.kernel import netns as namespaces
from netlab.kernel import ruleset
from netlab.kernel.netlink.nf_tables import Tables
from netlab.model.errors import LabError, MachineError, Unmeasured
from netlab.model.family import FAMILIES, Family
from netlab.model.iptables_save import saved_lines

#: (family, table, chain, handle), the words as nft's
RuleName = tuple[str, str, str, int]

#: the tables that iptables writes; netlab needs no others
IPTABLES_TABLES: Final = frozenset(("raw", "mangle", "nat", "filter", "security"))
_ATTEMPTS: Final = 5
_HANDLE = re.compile(r"^(.*?) # handle (\d+)$", re.DOTALL)
_COUNTER = re.compile(r"\bcounter packets \d+ bytes \d+")
_HEAD = re.compile(r"^(table|chain) (?:(\S+) )?(\S+) \{")


class RuleBook:
    """The rules of one namespace, read when needed and kept until the ruleset changes."""

    def __init__(self, netns: int | None, tables: Tables) -> None:
        self._netns = netns
        self._tables = tables
        self._generation: int | None = None
        self._lines: dict[RuleName, str] = {}
        self._done: set[tuple[str, str]] = set()

    def lines(self, wanted: Iterable[tuple[str, str]]) -> Mapping[RuleName, str]:
        """The rules of at least these (family, table).

        Raises :class:`~netlab.model.errors.Unmeasured` if the ruleset changes faster than it can be read.
        """
        for _ in range(_ATTEMPTS):
            before = self._tables.generation()
            if before != self._generation:
                self._generation = before
                self._lines.clear()
                self._done.clear()
            missing = set(wanted) - self._done
            if not missing:
                return self._lines
            with namespaces.inside(self._netns):
                try:
                    self._read(missing)
                except FileNotFoundError:  # a table went while its rules were read
                    self._generation = None
                    continue
            if self._tables.generation() == before:
                self._done |= missing
                return self._lines
            self._generation = None
        raise Unmeasured("the ruleset keeps changing while it is read")

    def _read(self, missing: set[tuple[str, str]]) -> None:
        native = False
        for family in FAMILIES:
            tables = {table for word, table in missing if word == family.nft}
            if tables & IPTABLES_TABLES:
                saved = self._saved(family)
                for table in tables:
                    native |= not self._join(family, table, saved)
            else:
                native |= bool(tables)
        native |= any(word not in ("ip", "ip6") for word, _ in missing)
        if native:
            try:
                listing = ruleset.list_nft(handles=True)
            except (LabError, MachineError):
                return  # nft 1.0.6 may fail on rules of a newer one: they are shown by handle then
            for name, line in parse_listing(listing).items():
                self._lines.setdefault(name, line)

    @staticmethod
    def _saved(family: Family) -> dict[tuple[str, str], list[str]]:
        try:
            return append_lines(ruleset.save(family))
        except (LabError, MachineError):
            return {}

    def _join(self, family: Family, table: str, saved: Mapping[tuple[str, str], list[str]]) -> bool:
        """Take over the table's lines; False if iptables does not (or cannot) print it."""
        chains = self._tables.handles(family.nft, table)
        if any(len(saved.get((table, chain), ())) != len(handles) for chain, handles in chains.items()):
            return False
        for chain, handles in chains.items():
            for handle, line in zip(handles, saved[table, chain], strict=True):
                self._lines[family.nft, table, chain, handle] = line
        return True


def append_lines(text: str) -> dict[tuple[str, str], list[str]]:
    """``iptables-save`` → (table, chain) → its ``-A`` lines."""
    found: dict[tuple[str, str], list[str]] = {}
    for one in saved_lines(text):
        if one.kind == "rule":
            found.setdefault((one.table, one.chain), []).append(one.line)
    return found


def parse_listing(text: str) -> dict[RuleName, str]:
    """``nft -a list ruleset`` → each rule's text, on one line and without counts."""
    found: dict[RuleName, str] = {}
    family = table = ""
    chain: str | None = None
    pending: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        head = _HEAD.match(line)
        if head and not pending and chain is None:
            if head[1] == "table":
                family, table = head[2] or "ip", head[3]
            else:
                chain = head[3]
        elif chain is not None and line == "}" and not pending:
            chain = None
        elif chain is not None and line:
            if (not pending and line.endswith(";")) or (line.startswith("comment ") and len(pending) == 0):
                continue
            pending.append(line)
            rule = _HANDLE.match(" ".join(pending))
            if rule:
                found[family, table, chain, int(rule[2])] = _COUNTER.sub("counter", rule[1])
                pending = []
    return found
