"""The arguments of ``netlab init``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples

FILE = "netlab.yaml"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("folder", nargs="?", default=".", metavar="FOLDER", help="default: this folder")
    parser.add_argument("--force", action="store_true", help=f"replace a {FILE} that is there")
    parser.epilog = (
        f"Writes {FILE}, which includes the folder's Compose file and leaves it as it is. Every default of "
        "netlab is there as a comment. In a folder without a Compose file, it starts with a web server."
    )
    examples(parser, ("netlab init && netlab up", "a lab of this folder's Compose file"))
