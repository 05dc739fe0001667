"""The lines of ``iptables-save``, and of input for ``iptables-restore``: one reader for all who need them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple


class SavedLine(NamedTuple):
    """One line that says something; ``number`` counts from 1, ``line`` is the line without its counters.

    ``text``: a rule's text after ``-A CHAIN`` or ``-I CHAIN``; a chain's policy, ``-`` for a user-defined
    chain; the table's name. ``packets`` and ``bytes`` are 0 where the line has no counters. ``other`` is a
    line that iptables-save never prints.
    """

    number: int
    line: str
    kind: Literal["table", "chain", "rule", "other"]
    table: str
    chain: str = ""
    text: str = ""
    packets: int = 0
    bytes: int = 0

    @property
    def policy(self) -> str | None:
        """Of a chain: ``ACCEPT`` or ``DROP``; None for a user-defined chain."""
        return None if self.text == "-" else self.text

    @property
    def inserted(self) -> bool:
        """Of a rule: written as ``-I``."""
        return self.line.startswith("-I")


def saved_lines(text: str) -> Iterator[SavedLine]:
    """The tables, chains and rules in their order, with or without counters; comments are left out."""
    table = ""
    for number, raw in enumerate(text.split("\n"), 1):
        line, packets, size = raw.strip(), 0, 0
        if line.startswith("["):
            counters, _, rest = line[1:].partition("]")
            packets, size = _counters(counters)
            line = rest.strip()
        if not line or line.startswith("#") or line == "COMMIT":
            continue
        if line.startswith(("-A ", "-I ")):
            chain, _, rule = line[3:].partition(" ")
            yield SavedLine(number, line, "rule", table, chain, rule.rstrip(), packets, size)
        elif line.startswith(":"):
            chain, _, rest = line[1:].partition(" ")
            policy, _, counters = rest.partition(" ")
            packets, size = _counters(counters.strip("[]"))
            yield SavedLine(number, line, "chain", table, chain, policy or "-", packets, size)
        elif line.startswith("*"):
            table = line[1:].strip()
            yield SavedLine(number, line, "table", table, text=table)
        else:
            yield SavedLine(number, line, "other", table)


def _counters(text: str) -> tuple[int, int]:
    packets, _, size = text.partition(":")
    return (int(packets), int(size)) if packets.isdigit() and size.isdigit() else (0, 0)
