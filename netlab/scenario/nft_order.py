"""Whether the table and the chain that a line for nft needs exist by then: a line above or a file makes them.

Tables of an engine or a firewall have well-known names; what is in them is left to nft.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from netlab.scenario.nft_text import Token, tokens
from netlab.scenario.tree import hint, shown

_FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
_VERBS = [
    "add",
    "create",
    "insert",
    "replace",
    "delete",
    "destroy",
    "flush",
    "list",
    "get",
    "reset",
    "rename",
    "describe",
    "table",
    "define",
    "undefine",
    "export",
    "import",
    "monitor",
]
_OBJECTS = [
    "table",
    "chain",
    "rule",
    "set",
    "map",
    "element",
    "flowtable",
    "counter",
    "quota",
    "limit",
    "ct",
    "synproxy",
    "secmark",
]
#: tables that an engine or a firewall may have made: of iptables, Docker, firewalld and netavark
_OF_OTHERS = frozenset(
    ("filter", "nat", "mangle", "raw", "security", "broute", "docker-bridges", "firewalld", "netavark")
)
_TABLE = re.compile(r"\btable\s+(?:(ip|ip6|inet|arp|bridge|netdev)\s+)?([^\s{;]+)")


class NftTables:
    """The tables that lines have made so far, with their chains; those of ``files`` exist from the start."""

    def __init__(self, files: Iterable[str] = ()) -> None:
        #: table → its chains; None: not known
        self._made: dict[tuple[str, str], set[str] | None] = {}
        for text in files:
            for family, name in _TABLE.findall(text):
                self._made[family or "ip", name] = None

    def wrong(self, argv: Sequence[str]) -> str:
        """What a line names that does not exist by then, or nothing; what it makes exists for the next."""
        arguments = list(argv[1:])
        while arguments and arguments[0].startswith("-") and arguments[0] != "--":
            arguments.pop(0)
        for command in _commands(tokens(" ".join(arguments))):
            wrong = self._command(command)
            if wrong:
                return wrong
        return ""

    def _command(self, words: list[Token]) -> str:
        verb = words[0].text
        if verb not in _VERBS:
            return f"nft has no command {shown(verb)}{hint(verb, _VERBS)}"
        if verb == "table":
            verb, words = "add", [words[0], *words]
        if verb not in ("add", "create", "insert", "replace") or len(words) < 2:
            if verb in ("delete", "destroy") and len(words) > 3 and words[1].text == "table":
                self._made.pop((words[2].text, words[3].text), None)
            return ""
        thing = words[1].text if words[1].text in _OBJECTS else "rule"
        names = [word.text for word in (words[2:] if words[1].text in _OBJECTS else words[1:])]
        if thing == "ct":
            names = names[1:]  # helper, timeout or expectation
        family = names.pop(0) if names and names[0] in _FAMILIES else "ip"
        if not names or "{" in names[0]:
            return ""
        return self._needs(thing, (family, names[0]), names[1:], words)

    def _needs(self, thing: str, table: tuple[str, str], names: list[str], words: list[Token]) -> str:
        """Check a command's table and chain, and note what it makes."""
        if thing == "table":
            chains = self._made.setdefault(table, set())
            if chains is not None:
                chains |= {b.text for a, b in pairwise(words[2:]) if a.text == "chain"}
            return ""
        if table not in self._made:
            if table[1] in _OF_OTHERS:
                return ""
            written, name = words[1].text, " ".join(table)
            more = hint(written, _OBJECTS) if written not in (*_OBJECTS, *_FAMILIES) else ""
            return f"no line above makes the table {shown(name)}{more}: nft add table {name}"
        chains = self._made[table]
        if chains is None or not names or thing not in ("chain", "rule"):
            return ""
        if thing == "chain":
            chains.add(names[0])
        elif names[0] not in chains and "{" not in names[0]:
            more = hint(names[0], chains)
            return f"no line above makes the chain {shown(names[0])} of {' '.join(table)}{more}"
        return ""


def _commands(words: Iterable[Token]) -> Iterator[list[Token]]:
    """The commands of a line: nft ends one at a semicolon or a line's end that stands in no braces."""
    command: list[Token] = []
    depth = 0
    for word in words:
        if not word.quoted and word.text in ("{", "}"):
            depth += 1 if word.text == "{" else -1
        if not word.quoted and word.text in (";", "\n") and depth <= 0:
            if command:
                yield command
            command = []
        else:
            command.append(word)
    if command:
        yield command
