"""The difference between two plans' rules, as edits of the rules in the kernel.

Between the plan's rules there may be others: an administrator's, another program's. They stay where they are.
A new rule goes where the engine would put it: at the end if it appends, at the top if it inserts, or else
after the engine's rule that it follows. Each family is one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from netlab.model.iptables_save import saved_lines
from netlab.model.rules import IptablesRuleset, NftTable, Ruleset
from netlab.plan import render

#: The tables that an administrator's flush, or a firewall's reload, empties.
FLUSHED = ("filter", "nat")


@dataclass(slots=True)
class _Chain:
    policy: str | None = None
    rules: list[str] = field(default_factory=list)
    ours: bool = True  #: created together with the rules; other rules go into existing chains


_Tables = dict[str, dict[str, _Chain]]


def read(text: str) -> _Tables:
    """What ``iptables-save`` printed, or what input for ``iptables-restore --noflush`` puts among others."""
    tables: _Tables = {}
    for one in saved_lines(text):
        chains = tables.setdefault(one.table, {})
        if one.kind == "chain":
            chains[one.chain] = _Chain(one.policy)
        elif one.kind == "rule":
            # The number after -I CHAIN goes: the rules come in the chain's order.
            rule = one.text.partition(" ")[2] if one.inserted else one.text
            chains.setdefault(one.chain, _Chain(ours=False)).rules.append(rule)
    return tables


def planned(ruleset: IptablesRuleset | None) -> _Tables:
    """A plan's rules in the same form."""
    if ruleset is None:
        return {}
    return {
        table.name: {c.name: _Chain(c.policy, [rule.text for rule in c.rules]) for c in table.chains}
        for table in ruleset.tables
    }


def iptables_edits(
    before: IptablesRuleset | None, after: IptablesRuleset | None, saved: str, *, flushed: bool = False
) -> str:
    """Input for ``iptables-restore --noflush`` that turns the current rules (``saved``) into ``after``.

    Empty if there is nothing to do. ``flushed``: all rules of the tables filter and nat were removed before.
    """
    return edits_of_tables(planned(before), planned(after), read(saved), flushed=flushed)


def restoring(saved: str, now: str) -> str:
    """Input for ``iptables-restore --noflush`` that turns the rules ``now`` into ``saved``, line by line."""
    current = read(now)
    return edits_of_tables(current, read(saved), current)


def touched(tables: _Tables, *parts: _Tables) -> _Tables:
    """The rules of all chains that some part creates, or has rules in."""
    names = {(table, name) for part in parts for table, chains in part.items() for name in chains}
    return {
        table: {name: chain for name, chain in chains.items() if (table, name) in names}
        for table, chains in tables.items()
    }


def emptied(old: _Tables, now: _Tables) -> bool:
    """Whether all chains that the rules had created are gone."""
    return not any(
        chain.ours and not chain.policy and name in now.get(table, {})
        for table, chains in old.items()
        for name, chain in chains.items()
    )


def edits_of_tables(old: _Tables, new: _Tables, now: _Tables, *, flushed: bool = False) -> str:
    """:func:`iptables_edits` of what was read already."""
    text: list[str] = []
    for table in dict.fromkeys((*new, *old, *(now if flushed else ()))):
        gone = flushed and table in FLUSHED
        here = now.get(table, {})
        lines = list(_table(here if gone else old.get(table, {}), new.get(table, {}), here))
        if lines:
            text += [f"*{table}", *lines, "COMMIT"]
    return "".join(line + "\n" for line in text)


def _table(old: dict[str, _Chain], new: dict[str, _Chain], now: dict[str, _Chain]) -> Iterator[str]:
    yield from (f":{name} {chain.policy or '-'} [0:0]" for name, chain in new.items() if name not in now)
    for name, chain in new.items():
        was = old.get(name)
        if name in now and chain.policy and was is not None and was.policy != chain.policy:
            yield f"-P {name} {chain.policy}"
    empty = _Chain()
    for name in dict.fromkeys((*new, *old)):
        wanted = new.get(name, empty).rules
        yield from edits(name, old.get(name, empty).rules, wanted, now.get(name, empty).rules)
    removed = [name for name, chain in old.items() if name not in new and name in now and not chain.policy]
    yield from (f"-F {name}" for name in removed)
    yield from (f"-X {name}" for name in removed)
    for name, chain in old.items():
        if name not in new and chain.policy == "DROP" and name in now:
            yield f"-P {name} ACCEPT"


def edits(chain: str, old: Sequence[str], new: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    """The lines that delete and insert rules of one chain, by number."""
    there = _matches(old, now)
    stays = {b: there[a] for a, b in _matches(old, new).items() if a in there}
    lost = {b for a, b in _matches(old, new).items() if a not in there}
    going = set(there.values()) - set(stays.values())
    for number in sorted(going, reverse=True):
        yield f"-D {chain} {number + 1}"
    rest = [number for number in range(len(now)) if number not in going]
    places = {number: place for place, number in enumerate(rest)}
    last = max(stays, default=-1)
    grown, previous = 0, -1
    for b, rule in enumerate(new):
        if b in lost:
            continue
        if b in stays:
            previous = places[stays[b]] + grown
            continue
        place = len(rest) + grown if b > last else previous + 1
        yield f"-A {chain} {rule}" if place == len(rest) + grown else f"-I {chain} {place + 1} {rule}"
        previous = place
        grown += 1


def _matches(one: Sequence[str], other: Sequence[str]) -> dict[int, int]:
    """The rules that both have in the same order: all of the first, if the other has them all."""
    found: dict[int, int] = {}
    at = 0
    for number, rule in enumerate(one):
        try:
            at = other.index(rule, at)
        except ValueError:
            break
        found[number] = at
        at += 1
    else:
        return found
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return {m.a + n: m.b + n for m in matcher.get_matching_blocks() for n in range(m.size)}


def key_of(ruleset: Ruleset) -> tuple[str, str]:
    """What a ruleset is one of: a family's iptables, a native table, or a file."""
    if isinstance(ruleset, IptablesRuleset):
        return "iptables", str(int(ruleset.family))
    return (ruleset.family, ruleset.name) if isinstance(ruleset, NftTable) else ("file", ruleset.origin)


def of_family(rulesets: Iterable[Ruleset], family: int) -> IptablesRuleset | None:
    """The iptables rules of one family in a node's rulesets."""
    found = (r for r in rulesets if isinstance(r, IptablesRuleset) and r.family == family)
    return next(found, None)


def nft_edits(before: Iterable[Ruleset], after: Iterable[Ruleset]) -> str:
    """Input for nft that replaces every native table which is not as before; empty if all are."""
    old = {(r.family, r.name): r for r in before if isinstance(r, NftTable)}
    new = {(r.family, r.name): r for r in after if isinstance(r, NftTable)}
    parts: list[str] = []
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) == new.get(key):
            continue
        family, name = key
        parts.append(f"table {family} {name} {{ }}\ndelete table {family} {name}\n")
        if key in new:
            parts.append(render.nft_input(new[key]))
    return "".join(parts)
