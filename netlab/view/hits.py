"""The rules that a packet met at a hook, as a tree: what it met in a chain is below the jump to it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from netlab.model.journey import DecidedBy, HookVisit, RuleHit

STOPPED: Final = ("drop", "policy drop")


@dataclass
class Branch:
    """A rule or policy that a packet met, and below a jump what it met in that chain."""

    hit: RuleHit
    below: list[Branch] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many lines it takes."""
        return 1 + sum(one.size for one in self.below)

    @property
    def leads_nowhere(self) -> bool:
        """Whether it is a jump to a chain in which nothing but such jumps matched."""
        return is_jump(self.hit) and all(one.leads_nowhere for one in self.below)


def is_jump(hit: RuleHit) -> bool:
    """Whether the rule sent the packet to another chain."""
    return hit.verdict.startswith(("jump ", "goto "))


def nested(hits: Iterable[RuleHit]) -> list[Branch]:
    """A rule of a chain that was jumped to is shown under the rule that jumped."""
    root: list[Branch] = []
    stack = [root]
    bases: dict[str, int] = {}
    for hit in hits:
        depth = bases.setdefault(chain_of(hit), 1)
        del stack[depth:]
        made = Branch(hit)
        stack[-1].append(made)
        if is_jump(hit):
            stack.append(made.below)
            bases[f"{hit.family} {hit.table} {hit.verdict.partition(' ')[2]}"] = depth + 1
    return root


def chain_of(hit: RuleHit) -> str:
    """The chain of a rule or policy: ``ip nat PREROUTING``."""
    return f"{hit.family} {hit.table} {hit.chain}"


def ends(visit: HookVisit) -> bool:
    """Whether the packet was dropped at this hook."""
    return bool(visit.rules) and visit.rules[-1].verdict in STOPPED


def decides(hit: RuleHit, visit: HookVisit, decision: DecidedBy) -> bool:
    """Whether this is the rule or policy that decided."""
    return (
        decision.kind in ("rule", "policy")
        and (decision.family, decision.table, decision.chain) == (hit.family, hit.table, hit.chain)
        and decision.hook == visit.hook
        and decision.rule == hit.rule
        and (decision.kind == "policy") == (hit.rule is None)
    )
