"""Two rulesets → which rules go, come, move and change, paired by the reason that the plan carries.

Two generations write the same intent in other words and other chains, so by texts alone everything would be
new. A rule is the same as one of the other side if, in this order, it is the same line of the same chain;
the same line for the same reason in another chain; in the same chain for the same reason with the same
effect (accept, drop, dnat, …); or anywhere for the same reason with the same effect.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from netlab.model.plan import Node
from netlab.model.rules import IptablesRuleset, NftTable

RuleChangeKind = Literal["goes", "comes", "moves", "reordered", "rewritten"]


@dataclass(frozen=True, slots=True, order=True)
class RulePlace:
    """A chain: ``family`` as nft writes it (``ip``, ``ip6``, ``inet``; ``file`` for an nftables file)."""

    family: str
    table: str
    chain: str

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}"


@dataclass(frozen=True, slots=True)
class PlacedRule:
    """A rule in its chain, as its tool prints it after the chain's name."""

    place: RulePlace
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleChange:
    """What happens to one rule of one host.

    ``goes`` has no ``after`` and ``comes`` no ``before``. ``moves``: to another chain, perhaps with other
    text; ``rewritten``: with other text in the same chain; ``reordered``: the same line in another position
    among the chain's rules that both sides have.
    """

    kind: RuleChangeKind
    node: str
    before: PlacedRule | None
    after: PlacedRule | None

    @property
    def rule(self) -> PlacedRule:
        """The rule that people look for: the old one, or the new one."""
        found = self.before or self.after
        assert found is not None
        return found


def placed(node: Node) -> list[PlacedRule]:
    """All rules of a node, in the order in which they are loaded."""
    found: list[PlacedRule] = []
    for ruleset in node.rulesets:
        if isinstance(ruleset, IptablesRuleset):
            for table in ruleset.tables:
                for chain in table.chains:
                    place = RulePlace(ruleset.family.nft, table.name, chain.name)
                    found += [PlacedRule(place, rule.text, rule.reason) for rule in chain.rules]
        elif isinstance(ruleset, NftTable):
            for native in ruleset.chains:
                place = RulePlace(ruleset.family, ruleset.name, native.name)
                found += [PlacedRule(place, rule.text, rule.reason) for rule in native.rules]
        else:
            place = RulePlace("file", ruleset.origin, "")
            lines = (line.strip() for line in ruleset.text.splitlines())
            found += [PlacedRule(place, line, "the administrator's own file") for line in lines if line]
    return found


_TARGET = re.compile(r" (?:-j|-g) (\S+)")
_NFT_VERDICT = re.compile(r"\b(accept|drop|reject|return|dnat|snat|masquerade|redirect|jump|goto|vmap)\b")
_EFFECTS = {"accept", "drop", "reject", "return", "dnat", "snat", "masquerade", "redirect", "log", "mark"}


def effect(rule: PlacedRule) -> str:
    """What the rule does to a packet, in one word for both tools: accept, drop, dnat, …; otherwise
    ``jump``.
    """
    words = _TARGET.findall(" " + rule.text)
    if not words:
        quoteless = re.sub(r'"[^"]*"', "", rule.text)
        words = _NFT_VERDICT.findall(quoteless)
    word = words[-1].lower() if words else ""
    return word if word in _EFFECTS else "jump"


def rule_changes(before: Node | None, after: Node | None) -> tuple[list[RuleChange], int]:
    """(what changes, how many rules stay as they are) between two states of one host."""
    node = (before or after).name  # type: ignore[union-attr]
    old = placed(before) if before else []
    new = placed(after) if after else []
    pairs = _pair(old, new)
    same = {(i, j) for i, j in pairs if old[i].place == new[j].place and old[i].text == new[j].text}
    moved = _out_of_order(same, old)
    changes: list[tuple[int, RuleChange]] = []
    for i, j in pairs:
        if (i, j) not in same:
            kind: RuleChangeKind = "rewritten" if old[i].place == new[j].place else "moves"
            changes.append((i, RuleChange(kind, node, old[i], new[j])))
        elif (i, j) in moved:
            changes.append((i, RuleChange("reordered", node, old[i], new[j])))
    paired_old, paired_new = {i for i, _ in pairs}, {j for _, j in pairs}
    changes += [
        (i, RuleChange("goes", node, rule, None)) for i, rule in enumerate(old) if i not in paired_old
    ]
    found = [change for _, change in sorted(changes, key=lambda entry: entry[0])]
    found += [RuleChange("comes", node, None, rule) for j, rule in enumerate(new) if j not in paired_new]
    return found, len(same) - len(moved)


def _pair(old: list[PlacedRule], new: list[PlacedRule]) -> list[tuple[int, int]]:
    """Which rule of one side is which of the other; equal candidates are paired in their order."""
    keys: tuple[Callable[[PlacedRule], Hashable], ...] = (
        lambda rule: (rule.place, rule.text),
        lambda rule: (rule.place.family, rule.place.table, rule.text, rule.reason),
        lambda rule: (rule.place, rule.reason, effect(rule)),
        lambda rule: (rule.place.family, rule.reason, effect(rule)),
    )
    pairs: list[tuple[int, int]] = []
    left, right = list(range(len(old))), list(range(len(new)))
    for key in keys:
        waiting: dict[Hashable, deque[int]] = defaultdict(deque)
        for j in right:
            waiting[key(new[j])].append(j)
        met = [(i, waiting[k].popleft()) for i in left if waiting.get(k := key(old[i]))]
        pairs += met
        gone, taken = {i for i, _ in met}, {j for _, j in met}
        left = [i for i in left if i not in gone]
        right = [j for j in right if j not in taken]
    return pairs


def _out_of_order(same: Iterable[tuple[int, int]], old: list[PlacedRule]) -> set[tuple[int, int]]:
    """Of the lines that both sides have: the fewest that must move for the rest to keep their order."""
    chains: dict[RulePlace, list[tuple[int, int]]] = defaultdict(list)
    for i, j in sorted(same):
        chains[old[i].place].append((i, j))
    return {pair for pairs in chains.values() for pair in set(pairs) - set(_increasing(pairs))}


def _increasing(pairs: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """A longest run of pairs whose second numbers increase (patience sorting)."""
    tops: list[int] = []
    at: list[int] = []
    links: list[int | None] = []
    for number, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        tops[pile : pile + 1] = [j]
        at[pile : pile + 1] = [number]
        links.append(at[pile - 1] if pile else None)
    where = at[-1] if at else None
    while where is not None:
        yield pairs[where]
        where = links[where]
