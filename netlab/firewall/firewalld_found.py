"""firewalld's rules once others have changed them, and what firewalld itself does to them afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from netlab.firewall.firewalld_config import refuse
from netlab.model.rules import Chain, IptablesRuleset, NftChain, NftTable, Table, with_sorted_sets

_Chain = TypeVar("_Chain", Chain, NftChain)


def native(left: NftTable, known: NftTable, wanted: NftTable) -> NftTable:
    """The native table of firewalld as others ``left`` it, with what firewalld has changed since.

    ``known`` is what it had written by then, ``wanted`` what it would have written by now. Raises UsageError
    if both have changed one chain.
    """

    def texts(chain: NftChain) -> list[str]:
        return [with_sorted_sets(rule.text) for rule in chain.rules]

    there, before, after = ({chain.name: chain for chain in table.chains} for table in (left, known, wanted))
    return replace(left, chains=tuple(_merged(there, before, after, texts).values()))


def iptables(left: IptablesRuleset, known: IptablesRuleset, wanted: IptablesRuleset) -> IptablesRuleset:
    """The same for the rules of one family of iptables, among which the engine's are.

    firewalld changes only chains of its own, never base chains.
    """

    def texts(chain: Chain) -> list[str]:
        return [rule.text for rule in chain.rules]

    tables = {table.name: table for table in left.tables}
    for name in [table.name for table in wanted.tables]:
        there = tables.get(name, Table(name))
        before, after = (_own_chains(one.table(name)) for one in (known, wanted))
        chains = _merged({chain.name: chain for chain in there.chains}, before, after, texts)
        if chains:
            bases = [chain for chain in chains.values() if chain.policy is not None]
            others = sorted((c for c in chains.values() if c.policy is None), key=lambda c: c.name)
            tables[name] = Table(name, (*bases, *others))
    return replace(left, tables=tuple(tables.values()))


def _own_chains(table: Table | None) -> dict[str, Chain]:
    chains = table.chains if table is not None else ()
    return {chain.name: chain for chain in chains if chain.policy is None}


def _merged(
    left: Mapping[str, _Chain],
    known: Mapping[str, _Chain],
    wanted: Mapping[str, _Chain],
    texts: Callable[[_Chain], list[str]],
) -> dict[str, _Chain]:
    """The chains that others left, with every difference between ``known`` and ``wanted``."""
    merged = dict(left)
    for name in {**known, **wanted}:
        there, before, after = (
            None if chain is None else texts(chain)
            for chain in (left.get(name), known.get(name), wanted.get(name))
        )
        if before == after:
            continue
        if there != before:
            raise refuse(
                f"others have changed chain {name}, which firewalld now changes for the engine's bridges, "
                "and netlab does not reproduce the result: reload the firewall first"
            )
        if name in wanted:
            merged[name] = wanted[name]
        else:
            del merged[name]
    return merged
