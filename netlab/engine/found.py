"""What others made of a host since its engine acted last: the rules and settings that the next event finds.

An engine asks the kernel before it writes (``iptables -C``), so what an event does depends on what is there.
Source: ``iptables-save`` beside 20.10.24, 26.1.5 and 28.5.2 after rules and chains of theirs were deleted,
doubled and moved.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from netlab.engine.contract import HostFacts
from netlab.engine.nft import map_elements, map_lines, map_name, parse_table
from netlab.engine.sysctls import CARRIES, KERNEL
from netlab.engine.tables import Tables
from netlab.model.event import HostFound
from netlab.model.family import FAMILIES, Family
from netlab.model.ipset_save import IPSETS, saved_sets
from netlab.model.nft_listing import listed_tables
from netlab.model.observation import Observation
from netlab.model.rules import (
    ADDED_SINCE,
    FOUND,
    IptablesRuleset,
    NftChain,
    NftRule,
    NftTable,
    Rule,
    Ruleset,
    Table,
    with_sorted_sets,
)
from netlab.model.scenario import Found

#: a container's id, which Podman writes into comments: a twin has another one
_ID = re.compile(r"\b[0-9a-f]{64}\b")


def changes(facts: HostFacts, seen: Observation, stands: Sequence[Ruleset] | None = None) -> HostFound | None:
    """What differs from the engine's own account of the host; None if nothing does.

    ``stands``: the rulesets of the host's plan, if a firewall knows the engine's bridges and so has other
    rules than the engine knows of.
    """
    rulesets_known = facts.rulesets if stands is None else stands
    own = {one.family: one for one in rulesets_known if isinstance(one, IptablesRuleset)}
    settings = dict(KERNEL)
    for sysctl in facts.sysctls:
        settings[sysctl.key] = sysctl.value
        if sysctl.key in CARRIES:
            settings[CARRIES[sysctl.key]] = sysctl.value
    rulesets: list[IptablesRuleset | NftTable] = []
    for family, text in seen.rules.items():
        live = Tables(family)
        live.load(text, "iptables-save")
        found, known = live.freeze(), own.get(family, IptablesRuleset(family))
        if _texts(found) != _texts(known):
            rulesets.append(_explained(found, known))
    for table in rulesets_known:
        if isinstance(table, NftTable) and (table.family, table.name) in seen.native:
            text = seen.native[table.family, table.name]
            now = parse_table(text) if text else NftTable(table.family, table.name)
            if _native_texts(now) != _native_texts(table):
                rulesets.append(_native_explained(now, table))
    values = [(key, " ".join(value.split())) for key, value in seen.sysctls.items()]
    sysctls = [(key, value) for key, value in values if value != settings[key]]
    return HostFound(tuple(rulesets), tuple(sysctls)) if rulesets or sysctls else None


def as_found(facts: HostFacts, found: Found) -> HostFound:
    """The rules and settings that a scenario's files say the host has, the engine's with their reasons."""
    own = {one.family: one for one in facts.rulesets if isinstance(one, IptablesRuleset)}
    rulesets: list[IptablesRuleset | NftTable] = []
    others, _ = saved_sets(found.files.get(IPSETS, ""))
    for family in FAMILIES:
        if family.iptables in found.files:
            known = own.get(family, IptablesRuleset(family))
            read = _explained(read_rules(family, found.files[family.iptables]), known, FOUND)
            sets = (*read.sets, *(one for one in others if one.family is family))
            rulesets.append(replace(read, sets=sets))
    if "nftables" in found.files:
        listed = listed_tables(found.files["nftables"])
        for table in facts.rulesets:
            if isinstance(table, NftTable):
                name = (table.family, table.name)
                rulesets.append(_native_explained(read_native(name, listed.get(name)), table))
    return HostFound(tuple(rulesets), tuple(found.sysctls.items()), written=True)


def read_rules(family: Family, saved: str) -> IptablesRuleset:
    """What ``iptables-save`` printed, as data; raises ValueError for a line that it never prints."""
    tables = Tables(family)
    tables.load(saved, "")
    return tables.freeze()


def read_native(name: tuple[str, str], listed: str | None) -> NftTable:
    """A native table (family, name) as ``nft list table`` prints it; without chains if it is gone."""
    return parse_table(listed) if listed else NftTable(*name)


def elements_of(table: NftTable) -> dict[str, dict[str, str]]:
    """The elements of a native table's maps, by the map's name."""
    return {map_name(text): map_elements(text) for text in table.objects}


def object_name(text: str) -> str:
    """The name of a map of a native table."""
    return map_name(text)


def map_with(name: str, elements: Mapping[str, str]) -> str:
    """A map of an engine's native table with these elements, as nft lists it."""
    return "\n".join(map_lines(name, dict(elements)))


def settings_of(facts: HostFacts) -> dict[str, str]:
    """The settings that an engine reads or writes, as it leaves them."""
    return {**KERNEL, **{one.key: one.value for one in facts.sysctls}}


def _texts(ruleset: IptablesRuleset) -> dict[tuple[str, str], tuple[str | None, list[str]]]:
    """Policies and rules of every chain; without tables that do nothing, which a mere look may have made."""
    return {
        (table.name, chain.name): (chain.policy, [rule.text for rule in chain.rules])
        for table in ruleset.tables
        if _acts(table)
        for chain in table.chains
    }


def _native_texts(table: NftTable) -> tuple[dict[str, tuple[str, list[str]]], dict[str, dict[str, str]]]:
    chains = {
        chain.name: (chain.hook, [with_sorted_sets(rule.text) for rule in chain.rules])
        for chain in table.chains
    }
    return chains, {map_name(text): map_elements(text) for text in table.objects}


def _native_explained(found: NftTable, known: NftTable) -> NftTable:
    reasons = {(chain.name, rule.text): rule.reason for chain in known.chains for rule in chain.rules}

    def explained(chain: NftChain) -> NftChain:
        rules = (NftRule(r.text, reasons.get((chain.name, r.text), r.reason)) for r in chain.rules)
        return replace(chain, rules=tuple(rules))

    return replace(found, chains=tuple(explained(chain) for chain in found.chains))


def _acts(table: Table) -> bool:
    return any(chain.rules or chain.policy != "ACCEPT" for chain in table.chains)


def _explained(
    found: IptablesRuleset, known: IptablesRuleset, otherwise: str = ADDED_SINCE
) -> IptablesRuleset:
    """The rules that were found, each with the reason of the one that it was known as."""
    reasons: defaultdict[tuple[str, str, str], deque[str]] = defaultdict(deque)
    for table in known.tables:
        for chain in table.chains:
            for rule in chain.rules:
                reasons[table.name, chain.name, _ID.sub("", rule.text)].append(rule.reason)

    def explained(table: str, chain: str, text: str) -> Rule:
        waiting = reasons[table, chain, _ID.sub("", text)]
        return Rule(text, waiting.popleft() if waiting else otherwise)

    return replace(
        found,
        sets=known.sets,
        tables=tuple(
            replace(
                table,
                chains=tuple(
                    replace(c, rules=tuple(explained(table.name, c.name, rule.text) for rule in c.rules))
                    for c in table.chains
                ),
            )
            for table in found.tables
        ),
    )
