"""Resolve the name of a node as the user writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.model.errors import NoNodeError
from netlab.model.near import nearest

if TYPE_CHECKING:
    from netlab.model.plan import Plan

_KINDS = {"service": "container", "host": "host", "outside": "outside"}


def resolve(plan: Plan, text: str) -> str:
    """The name of a node in the plan; raises NoNodeError with a suggestion."""
    kind, slash, name = text.partition("/")
    for node in plan.nodes:
        if node.kind == "segment":
            continue
        mine = slash and node.kind == _KINDS.get(kind) and node.name in (name, f"{kind}-{name}")
        if node.name == text or mine:
            return node.name
    names = [node.name for node in plan.nodes if node.kind != "segment"]
    near = nearest(text, names)
    few = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    hint = f"did you mean {near}?" if near else f"there are: {few}"
    raise NoNodeError(f"the lab {plan.name} has no node {text!r} ({hint})")
