"""Living rulesets beside their plan: what iptables and nft show, each rule with the plan's reason."""

from __future__ import annotations

import re
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
    "native_tables",
    "parse_save",
    "save_lines",
]


def annotate(listing: str, chains: Iterable[LiveChain]) -> Iterator[str]:
    """``iptables -nvL`` output with the reasons in a column of their own.

    The nth rule that it lists of a chain is the nth that ``iptables-save`` lists.
    """
    reasons = {chain.name: [rule.reason for rule in chain.rules] for chain in chains}
    lines = listing.splitlines()
    width = max((len(line.rstrip()) for line in lines), default=0)
    waiting: Iterator[str] = iter(())
    for line in lines:
        if line.startswith("Chain "):
            waiting = iter(["why", *reasons.get(line.split()[1], [])])
            yield line
        elif line.strip():
            yield f"{line.rstrip():<{width}}  # {next(waiting, FOREIGN)}"
        else:
            yield ""


_TABLE = re.compile(r"^table (\S+) (\S+) \{")
_NFT_CHAIN = re.compile(r"^\tchain (\S+) \{")


def annotate_nft(listing: str, chains: dict[str, list[LiveChain]], reasons: Reasons) -> Iterator[str]:
    """``nft list ruleset`` output with reasons as comments; ``chains``: those of iptables, by nft family."""
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
            yield f"{line}  # {reason}"
            continue
        yield line
