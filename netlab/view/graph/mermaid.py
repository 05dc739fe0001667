"""A topology in Mermaid's language, for pages that draw it (GitHub, GitLab, Markdown editors)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netlab.model.shown import shown_in_line
from netlab.view.graph.diagram import diagram

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netlab.view.graph.diagram import Diagram, Edge, Node, Shape
    from netlab.view.graph.topology import Topology

#: What stands around the text of a node: https://mermaid.js.org/syntax/flowchart.html
_SHAPES: Final[dict[Shape, tuple[str, str]]] = {
    "machine": ("[", "]"),
    "interface": (">", "]"),
    "bus": ("[[", "]]"),
    "port": ("([", "])"),
}
#: ASCII that means nothing in a quoted text, neither to Mermaid nor to HTML or Markdown.
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:/+-()=")


def mermaid(topology: Topology) -> str:
    """The flowchart of a topology."""
    return "".join(f"{line}\n" for line in _lines(diagram(topology)))


def quoted(*lines: str) -> str:
    """Text that Mermaid shows as it is, in lines: what could mean something is written as ``#number;``."""
    return f'"{"<br/>".join(map(_escaped, lines))}"'


def _escaped(text: str) -> str:
    return "".join(
        char if char in _PLAIN or ord(char) > 127 else f"#{ord(char)};" for char in shown_in_line(text)
    )


def _lines(found: Diagram) -> Iterator[str]:
    yield "flowchart LR"
    yield from (f"  {_node(node)}" for node in found.nodes)
    for group in found.groups:
        yield f"  subgraph {group.key}[{quoted(group.title)}]"
        yield from (f"    {_node(node)}" for node in group.nodes)
        yield "  end"
    yield from (f"  {_edge(edge)}" for edge in found.edges)


def _node(node: Node) -> str:
    start, end = _SHAPES[node.shape]
    return f"{node.key}{start}{quoted(*node.lines)}{end}"


def _edge(edge: Edge) -> str:
    return f"{edge.start} {'-.->' if edge.leads else '---'}|{quoted(edge.label)}| {edge.end}"
