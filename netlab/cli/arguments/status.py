"""The arguments of ``netlab status``."""

from __future__ import annotations

import argparse

from netlab.cli.help import hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(parser.add_argument("lab", nargs="?", metavar="LAB", help="default: the one running lab"), "lab")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
