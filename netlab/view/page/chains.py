"""The chains of a host as a page lists them, and which rule of them a packet met."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from netlab.plan.live_rules import Reasons, bare_rule
from netlab.view.hits import is_jump

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netlab.model.journey import Journey, RuleHit
    from netlab.model.plan import Plan
    from netlab.plan.live_rules import NativeTable, Rules

_CHAIN = re.compile(r"^\tchain (\S+) \{")
#: A base chain of nft's: its policy ends the line.
_BASE = re.compile(r"^\t\ttype \w+ hook .*?(?:policy (\w+);)?$")


@dataclass(slots=True)
class ListedRule:
    """A rule in its tool's words, its reason, and the flows (their keys in the page) that met it."""

    text: str
    reason: str
    flows: list[str] = field(default_factory=list)


@dataclass(slots=True)
class ListedChain:
    """A chain; ``policy`` is empty for one that is jumped to. ``key`` is its id in the page."""

    key: str
    host: str
    family: str
    table: str
    name: str
    policy: str
    rules: list[ListedRule]
    ended_by_policy: list[str] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)  #: the flows that met a rule that jumps to it

    @property
    def title(self) -> str:
        """``ip nat PREROUTING``."""
        return f"{self.family} {self.table} {self.name}"

    @property
    def traversed(self) -> bool:
        """Whether a flow came to it; a base chain that a packet traverses has at least a policy to report."""
        return bool(self.entered or self.ended_by_policy) or any(rule.flows for rule in self.rules)

    def number_of(self, hit: RuleHit) -> int | None:
        """Which of its rules a packet met; None for the policy, and for a rule that is no longer there."""
        if hit.rule is None:
            return None
        wanted = bare_rule(hit.rule)
        for number, rule in enumerate(self.rules):
            if wanted in (bare_rule(rule.text), f"-A {self.name} {rule.text}"):
                return number
        return None


class Chains:
    """All chains of the hosts of one lab."""

    def __init__(self, plan: Plan, rules: Mapping[str, Rules], prefix: str) -> None:
        self.listed: list[ListedChain] = []
        for host, found in rules.items():
            reasons = Reasons(plan.node(plan.node(host).namespace))
            for family, chains in found.iptables.items():
                for chain in chains:
                    listed = [ListedRule(rule.text, rule.reason) for rule in chain.rules]
                    self._add(prefix, host, family.nft, chain.table, chain.name, chain.policy or "", listed)
            for table in found.native:
                for name, policy, texts in _native_chains(table):
                    listed = [
                        ListedRule(text, reasons.take(table.family, table.name, name, bare_rule(text)))
                        for text in texts
                    ]
                    self._add(prefix, host, table.family, table.name, name, policy, listed)
        self._by_name = {(one.host, one.family, one.table, one.name): one for one in self.listed}
        #: which rules (None: the policy) were counted or forgotten lately, for a page that shows each change
        self.touched: dict[tuple[str, int | None], tuple[ListedChain, int | None]] = {}

    def _add(
        self, prefix: str, host: str, family: str, table: str, name: str, policy: str, rules: list[ListedRule]
    ) -> None:
        key = f"{prefix}c{len(self.listed)}"
        self.listed.append(ListedChain(key, host, family, table, name, policy.lower(), rules))

    def of(self, host: str, hit: RuleHit) -> ListedChain | None:
        """The chain of a rule or policy that a packet met on a host."""
        return self._by_name.get((host, hit.family, hit.table, hit.chain))

    def count(self, host: str, hit: RuleHit, flow: str) -> None:
        """Remember that a flow met a rule or a policy."""
        chain = self.of(host, hit)
        if chain is None:
            return
        number = chain.number_of(hit)
        if is_jump(hit):
            target = self._by_name.get((host, hit.family, hit.table, hit.verdict.partition(" ")[2]))
            if target is not None and flow not in target.entered:
                target.entered.append(flow)
        flows = chain.ended_by_policy if number is None else chain.rules[number].flows
        if flow not in flows:
            flows.append(flow)
            self.touched[chain.key, number] = chain, number

    def forget(self, flow: str) -> None:
        """A flow is no longer among those that are counted."""
        for chain in self.listed:
            if flow in chain.entered:
                chain.entered.remove(flow)
            for number, flows in ((None, chain.ended_by_policy), *enumerate(r.flows for r in chain.rules)):
                if flow in flows:
                    flows.remove(flow)
                    self.touched[chain.key, number] = chain, number

    def lists(self, journey: Journey) -> bool:
        """Whether every rule that a journey met is listed: if not, somebody has changed the rules since."""
        return all(
            (chain := self.of(leg.node, hit)) is not None
            and (hit.rule is None or chain.number_of(hit) is not None)
            for leg in (*journey.legs, *journey.replies)
            for visit in leg.hooks
            for hit in visit.rules
        )


def _native_chains(table: NativeTable) -> Iterator[tuple[str, str, list[str]]]:
    """(name, policy, rules) of the chains of ``nft list table``."""
    name, policy, rules = "", "", list[str]()
    for line in table.text.splitlines():
        if found := _CHAIN.match(line):
            name, policy, rules = found[1], "", []
        elif name and line == "\t}":
            yield name, policy, rules
            name = ""
        elif name and (base := _BASE.match(line)):
            policy = base[1] or "accept"
        elif name and line.startswith("\t\t"):
            rules.append(line.strip())
