"""The plan of a twin in which one finding is mended: other rules, policies and settings than those found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from netlab.engine.contract import HostFacts
from netlab.engine.found import map_with, object_name
from netlab.model.family import FAMILIES
from netlab.model.plan import Node, Plan, Sysctl
from netlab.model.rules import (
    BASE_CHAINS,
    Chain,
    IptablesRuleset,
    NftChain,
    NftRule,
    NftTable,
    Rule,
    Ruleset,
    Table,
)
from netlab.twin.finding import Chains, Mended

_REASON = "once it is mended"


def mended_plan(found: Plan, mended: Mended, engines: HostFacts) -> Plan:
    """The plan of the host as found, with these changes.

    ``engines``: hooks and reasons of what is gone.
    """
    nodes = tuple(_mended_host(n, mended, engines) if n.kind == "host" else n for n in found.nodes)
    return replace(found, nodes=nodes)


def _mended_host(host: Node, mended: Mended, engines: HostFacts) -> Node:
    left = tuple(one for one in host.sysctls if one.key not in mended.sysctls)
    new = tuple(Sysctl(key, value, _REASON) for key, value in mended.sysctls.items())
    return replace(host, sysctls=left + new, rulesets=tuple(_rulesets(host, mended, engines)))


def _rulesets(host: Node, mended: Mended, engines: HostFacts) -> Iterator[Ruleset]:
    known = {(one.family, one.name): one for one in engines.rulesets if isinstance(one, NftTable)}
    own = {family: IptablesRuleset(family) for family in FAMILIES}
    own |= {one.family: one for one in engines.rulesets if isinstance(one, IptablesRuleset)}
    waiting = {family: IptablesRuleset(family) for family in FAMILIES}
    for one in host.rulesets:
        if isinstance(one, IptablesRuleset):
            waiting.pop(one.family, None)
            yield _iptables(one, mended, own[one.family])
        elif isinstance(one, NftTable):
            yield _native(one, known.pop((one.family, one.name), one), mended.chains)
        else:
            yield one
    for ruleset in waiting.values():
        if (made := _iptables(ruleset, mended, own[ruleset.family])).tables:
            yield made
    for (family, name), table in known.items():
        if any((place.family, place.table) == (family, name) for place in mended.chains if place.native):
            yield _native(NftTable(family, name), table, mended.chains)


def _iptables(ruleset: IptablesRuleset, mended: Mended, engines: IptablesRuleset) -> IptablesRuleset:
    tables = {table.name: table for table in ruleset.tables}
    places = [p for p in (*mended.chains, *mended.policies) if not p.native]
    for place in (one for one in places if one.family == ruleset.family.nft):
        table = tables.get(place.table) or Table(
            place.table, tuple(Chain(name, "ACCEPT") for name in BASE_CHAINS[place.table])
        )
        chain = table.chain(place.chain) or Chain(place.chain)
        own = engines.table(place.table)
        changed = replace(
            chain,
            policy=mended.policies.get(place, chain.policy),
            rules=_rules(own.chain(place.chain) if own is not None else None, chain, mended.chains[place])
            if place in mended.chains
            else chain.rules,
        )
        tables[place.table] = Table(place.table, tuple(_with_chain(table.chains, changed)))
    return replace(ruleset, tables=tuple(tables.values()))


def _rules(engines: Chain | None, chain: Chain, texts: tuple[str, ...]) -> tuple[Rule, ...]:
    known = (*(engines.rules if engines is not None else ()), *chain.rules)
    reasons = {rule.text: rule.reason for rule in known}
    return tuple(Rule(text, reasons.get(text, _REASON)) for text in texts)


def _with_chain(chains: tuple[Chain, ...], changed: Chain) -> Iterator[Chain]:
    yield from (changed if one.name == changed.name else one for one in chains)
    if all(one.name != changed.name for one in chains):
        yield changed


def _native(found: NftTable, engines: NftTable, chains: Chains) -> NftTable:
    """A table of nft's with other rules and elements; what is not there yet, as the engine has it."""
    wanted: Mapping[str, tuple[str, ...]] = {
        place.chain: rules
        for place, rules in chains.items()
        if place.native and (place.family, place.table) == (found.family, found.name)
    }
    names = {object_name(text) for text in found.objects} | {chain.name for chain in found.chains}
    objects = (*found.objects, *(text for text in engines.objects if object_name(text) not in names))
    there = (*found.chains, *(replace(one, rules=()) for one in engines.chains if one.name not in names))
    return replace(
        found,
        objects=tuple(
            _map(object_name(text), wanted[object_name(text)]) if object_name(text) in wanted else text
            for text in objects
        ),
        chains=tuple(
            _native_chain(one, wanted[one.name], engines) if one.name in wanted else one for one in there
        ),
    )


def _map(name: str, elements: tuple[str, ...]) -> str:
    pairs = (element.partition(" : ") for element in elements)
    return map_with(name, {key: value for key, _, value in pairs})


def _native_chain(chain: NftChain, texts: tuple[str, ...], engines: NftTable) -> NftChain:
    own = next((one.rules for one in engines.chains if one.name == chain.name), ())
    reasons = {rule.text: rule.reason for rule in (*own, *chain.rules)}
    return replace(chain, rules=tuple(NftRule(text, reasons.get(text, _REASON)) for text in texts))
