"""The arguments of ``netlab down``."""

from __future__ import annotations

import argparse

from netlab.cli.help import hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(
        parser.add_argument("labs", nargs="*", metavar="LAB", help="a lab's name, or its scenario file"),
        "lab",
    )
    parser.add_argument("-a", "--all", action="store_true", help="every lab")
    parser.add_argument("--json", action="store_true", help="print the names of the labs as JSON")
    parser.epilog = "Without LAB: the one running lab, or the lab of this folder's scenario."
