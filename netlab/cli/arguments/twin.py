"""The arguments of ``netlab twin``."""

from __future__ import annotations

import argparse

from netlab.cli.arguments.collected import add_collection
from netlab.cli.help import examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_collection(parser)
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", help="the folder to make; default: the host's name"
    )
    parser.epilog = (
        "Makes a folder with netlab.yaml, the rules as they were found, and NOTES.txt, which says what could "
        "not be taken along. Every verb works on it: netlab up FOLDER. Archives are read without trusting "
        "their names, sizes and links."
    )
    examples(
        parser,
        ("netlab twin host.tar.gz -o shop && netlab up shop", "the host as a lab"),
        ("sudo netlab twin --from docker", "this host, in one go"),
    )
