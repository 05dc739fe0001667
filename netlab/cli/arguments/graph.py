"""The arguments of ``netlab graph``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netlab.cli.arguments.scenario import add_scenario_options
from netlab.cli.help import examples

if TYPE_CHECKING:
    from netlab.model.plan import GraphForm

#: form → how the names of its files end
FORMS: dict[GraphForm, str] = {"text": ".txt", "mermaid": ".mmd", "dot": ".dot", "svg": ".svg"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser)
    parser.add_argument("--format", choices=FORMS, help="default: as the name of --output says, or text")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of stdout")
    parser.epilog = (
        "FILE may be the name of a running lab. The drawing shows hosts, bridges, both ends of every veth "
        "pair, addresses, published ports with who listens, and what is outside. It needs no root."
    )
    examples(
        parser,
        ("netlab graph scenarios/two-networks.yaml", "in the terminal"),
        ("netlab graph compose.yaml -o network.svg", "a picture for a page or a slide"),
        ("netlab graph compose.yaml --format dot | dot -Tpdf -o network.pdf", "with Graphviz"),
    )
