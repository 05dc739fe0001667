"""A topology in Graphviz's language: ``netlab graph --format dot FILE | dot -Tpdf``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netlab.model.shown import shown_in_line
from netlab.view.graph.diagram import diagram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.view.graph.diagram import Diagram, Edge, Node, Shape
    from netlab.view.graph.topology import Topology

#: https://graphviz.org/doc/info/shapes.html
_SHAPES: Final[dict[Shape, str]] = {
    "machine": "box",
    "interface": "cds",
    "bus": "box3d",
    "port": "oval",
}
#: A backslash begins a sequence such as \\N, the node's name, and "&" an HTML entity.
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "&": "&amp;"}


def dot(topology: Topology) -> str:
    """The graph of a topology."""
    return "".join(f"{line}\n" for line in _lines(diagram(topology)))


def quoted(*lines: str) -> str:
    """Text that Graphviz shows as it is, in lines."""
    escaped = ("".join(_ESCAPES.get(char, char) for char in shown_in_line(line)) for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def _lines(found: Diagram) -> Iterator[str]:
    yield "graph {"
    yield f"  label={quoted(found.title)}; labelloc=t; rankdir=LR; fontname=monospace"
    yield "  node [fontname=monospace]; edge [fontname=monospace, fontsize=10]"
    yield from (f"  {_node(node)}" for node in found.nodes)
    for group in found.groups:
        yield f"  subgraph cluster_{group.key} {{"
        yield f"    label={quoted(group.title)}"
        yield from (f"    {_node(node)}" for node in group.nodes)
        yield "  }"
    yield from (f"  {_edge(edge)}" for edge in found.edges)
    yield "}"


def _node(node: Node) -> str:
    return f"{node.key} [shape={_SHAPES[node.shape]}, label={quoted(*node.lines)}]"


def _edge(edge: Edge) -> str:
    way = ", style=dashed, dir=forward" if edge.leads else ""
    return f"{edge.start} -- {edge.end} [label={quoted(edge.label)}{way}]"
