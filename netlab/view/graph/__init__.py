"""Drawings of a plan's topology, without root and without Linux: text, Mermaid, Graphviz's DOT, SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netlab.view.graph.dot import dot
from netlab.view.graph.mermaid import mermaid
from netlab.view.graph.svg import svg
from netlab.view.graph.text import text
from netlab.view.graph.topology import topology

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.model.plan import GraphForm, Plan
    from netlab.view.graph.topology import Topology

#: form → what draws it
FORMS: Final[dict[GraphForm, Callable[[Topology], str]]] = {
    "text": text,
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
}


def draw(plan: Plan, form: GraphForm) -> str:
    """The topology of a plan in one of :data:`FORMS`."""
    return FORMS[form](topology(plan))
