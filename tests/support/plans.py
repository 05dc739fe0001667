"""What tests ask of a plan."""

from __future__ import annotations

from netlab.model.plan import Plan
from netlab.model.rules import IptablesRuleset


def rules(plan: Plan, table: str, chain: str, family: int = 4) -> list[str]:
    """The texts of the rules in one iptables chain of the node ``host``."""
    return [
        rule.text
        for ruleset in plan.node("host").rulesets
        if isinstance(ruleset, IptablesRuleset) and ruleset.family.value == family
        for found in ruleset.tables
        if found.name == table
        for each in found.chains
        if each.name == chain
        for rule in each.rules
    ]
