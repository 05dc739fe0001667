"""The arguments of ``netlab gallery``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(parser.add_argument("name", nargs="?", metavar="NAME", help="write this scenario"), "gallery")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to; default: NAME.yaml; - is stdout")
    parser.add_argument("--force", action="store_true", help="replace files that are there")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.epilog = (
        "Each scenario answers a question that people ask, and states its answer as expectations that "
        "`netlab verify` measures. Files that a scenario names are written beside it."
    )
    examples(
        parser,
        ("netlab gallery", "list the scenarios"),
        ("netlab gallery ufw-published && netlab verify ufw-published.yaml", "see for yourself"),
    )
