"""Current rulesets beside their plan: what iptables and nft show, each rule with the plan's reason."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import TYPE_CHECKING

from netlab.plan.live_rules import (
    FOREIGN,
    LiveChain,
    LiveRule,
    Reasons,
    bare_rule,
    native_tables,
    parse_save,
    save_lines,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "FOREIGN",
    "LiveChain",
    "LiveRule",
    "Reasons",
    "annotate",
    "annotate_nft",
    "beside",
    "native_tables",
    "parse_save",
    "save_lines",
]


def annotate(listing: str, chains: Iterable[LiveChain], columns: int | None = None) -> Iterator[str]:
    """``iptables -nvL`` output with the reasons in a column of their own.

    The nth rule that it lists of a chain is the nth that ``iptables-save`` lists. ``columns``: the terminal's
    width; a rule that is wider with its reason has it on a line of its own.
    """
    reasons = {chain.name: [rule.reason for rule in chain.rules] for chain in chains}
    lines = listing.splitlines() if columns is None else list(_squeezed(listing.splitlines()))
    width = max((len(line.rstrip()) for line in lines), default=0)
    waiting: Iterator[str] = iter(())
    for line in lines:
        if line.startswith("Chain "):
            waiting = iter(["why", *reasons.get(line.split()[1], [])])
            yield line
        elif not line.strip():
            yield ""
        elif columns is None:
            yield f"{line.rstrip():<{width}}  # {next(waiting, FOREIGN)}"
        else:
            reason = next(waiting, FOREIGN)
            yield from beside(line, "" if reason == "why" else f"# {reason}", columns)


#: Columns of ``iptables -nvL`` before the matches of extensions.
_CELLS = 9
_INDENT = " " * 12


def _squeezed(lines: Iterable[str]) -> Iterator[str]:
    """The lines with each chain's columns as narrow as their cells allow."""
    rows: list[list[str]] = []
    for line in [*lines, None]:
        if line and line.strip() and not line.startswith("Chain "):
            rows.append(line.split(maxsplit=_CELLS))
            continue
        widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(_CELLS)] if rows else []
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row[:2], widths[:2], strict=False)]
            cells += [cell.ljust(width) for cell, width in zip(row[2:_CELLS], widths[2:], strict=False)]
            yield " ".join([*cells, *row[_CELLS:]]).rstrip()
        rows = []
        if line is not None:
            yield line


def beside(line: str, reason: str, columns: int | None) -> Iterator[str]:
    """A line and its reason: on one line where both fit into ``columns``, else wrapped and below it."""
    whole = f"{line}  {reason}".rstrip()
    if columns is None or len(whole) <= columns:
        yield whole
        return
    options = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": _INDENT}
    yield from wrap(line.rstrip(), columns, **options)  # type: ignore[arg-type]
    if reason:
        yield from wrap(reason, columns, initial_indent=_INDENT, **options)  # type: ignore[arg-type]


_TABLE = re.compile(r"^table (\S+) (\S+) \{")
_NFT_CHAIN = re.compile(r"^\tchain (\S+) \{")


def annotate_nft(
    listing: str, chains: dict[str, list[LiveChain]], reasons: Reasons, columns: int | None = None
) -> Iterator[str]:
    """``nft list ruleset`` output with reasons as comments; ``chains``: those of iptables, by nft family.

    ``columns`` as for :func:`annotate`.
    """
    of_iptables = {
        (family, chain.table, chain.name): [rule.reason for rule in chain.rules]
        for family, found in chains.items()
        for chain in found
    }
    family = table = chain = ""
    waiting: Iterator[str] | None = None
    for line in listing.splitlines():
        if found := _TABLE.match(line):
            family, table = found.groups()
        elif found := _NFT_CHAIN.match(line):
            chain = found[1]
            known = of_iptables.get((family, table, chain))
            waiting = None if known is None else iter(known)
        elif line.startswith("\t}"):
            chain = ""
        elif chain and line.startswith("\t\t") and not line.startswith("\t\ttype "):
            text = line.strip()
            reason = (
                reasons.take(family, table, chain, bare_rule(text))
                if waiting is None
                else next(waiting, FOREIGN)
            )
            shown = line if columns is None else line.expandtabs(4)
            yield from beside(shown, f"# {reason}", columns)
            continue
        yield line if columns is None else line.expandtabs(4)
