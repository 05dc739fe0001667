"""Change the rules of the namespaces of a running lab, and take such changes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.kernel import ipset, netns, ruleset
from netlab.lab.build import real_firewall, ruleset_edits
from netlab.model.errors import LabError
from netlab.model.family import FAMILIES, Family

if TYPE_CHECKING:
    from netlab.lab.build.layout import Layout
    from netlab.lab.build.plan_comparison import PlanComparison
    from netlab.model.plan import Node
    from netlab.model.rules import Ruleset


class RuleChanges:
    """``before`` and ``after``: the layouts of a change's plans; ``private``: the lab's own tmpfs.

    ``found``: the hosts whose rules in the plan before are those that were found there.
    """

    def __init__(
        self, change: PlanComparison, before: Layout, after: Layout, private: str, found: frozenset[str]
    ) -> None:
        self.change = change
        self.before = before
        self.after = after
        self.private = private
        self.found = found
        #: what iptables-save said, of each namespace and family, before anything was loaded there
        self._saved: dict[tuple[str, Family], str] = {}
        #: the namespaces whose rules may be other ones by now
        self._begun: set[str] = set()

    def apply(self, name: str, namespace: int) -> None:
        """Give a namespace the rules of the plan after; leaves the thread in it. Raises LabError."""
        if self.after.spaces[name].firewall is not None:
            self._change_real_firewall(name, namespace)
            return
        before, after = self.before.spaces[name].rulesets, self.after.spaces[name].rulesets
        flushed = name in self.change.flushed
        if before == after and not flushed:
            return
        netns.enter(namespace)
        self._begun.add(name)
        for family in FAMILIES:
            self._edit(name, family, before, after, flushed=flushed)
        text = ruleset_edits.nft_edits(before, after)
        if text:
            ruleset.load_nft(text)

    def take_back(self, name: str, namespace: int) -> None:
        """Give a namespace the rules that it had before :meth:`apply`, those of others included.

        Leaves the thread in it. Raises LabError.
        """
        if name not in self._begun:
            return
        if self.after.spaces[name].firewall is not None:
            raise LabError(f"changes of the firewall of {name} are not taken back")
        netns.enter(namespace)
        before, after = self.before.spaces[name].rulesets, self.after.spaces[name].rulesets
        for family in FAMILIES:
            saved = self._saved.get((name, family))
            if saved is None:
                continue
            old = ruleset_edits.of_family(before, family)
            ipset.ensure(old.sets if old is not None else ())
            text = ruleset_edits.restoring(saved, ruleset.save(family))
            if text:
                ruleset.load_iptables(family, text)
        text = ruleset_edits.nft_edits(after, before)
        if text:
            ruleset.load_nft(text)

    def _edit(
        self,
        name: str,
        family: Family,
        before: tuple[Ruleset, ...] | list[Ruleset],
        after: tuple[Ruleset, ...] | list[Ruleset],
        *,
        flushed: bool,
    ) -> None:
        old, new = (ruleset_edits.of_family(rules, family) for rules in (before, after))
        if old == new and not flushed:
            return
        now = self._saved[name, family] = ruleset.save(family)
        ipset.ensure(new.sets if new is not None else ())
        text = ruleset_edits.iptables_edits(old, new, now, flushed=flushed)
        if text:
            ruleset.load_iptables(family, text)

    def _change_real_firewall(self, name: str, namespace: int) -> None:
        """The engine's rules; the tool sees to its own."""
        before, after = self._node(name, "before"), self._node(name, "after")
        place = real_firewall.FirewallNode(name, namespace, self.private)
        reloaded = name in self.change.reloaded
        self._begun.add(name)
        if name in self.change.flushed and not reloaded:
            netns.enter(namespace)
            for family in FAMILIES:
                self._edit(name, family, before.rulesets, after.rulesets, flushed=True)
        else:
            real_firewall.change(before, after, place, reloaded=reloaded, found=name in self.found)

    def _node(self, name: str, when: str) -> Node:
        plan = self.change.before if when == "before" else self.change.after
        return plan.node(name)
