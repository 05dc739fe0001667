"""The arguments of ``netlab sockets``."""

from __future__ import annotations

import argparse

from netlab.cli.help import hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(
        parser.add_argument(
            "target",
            nargs="?",
            metavar="LAB|[LAB.]NODE",
            help="a lab or one of its nodes; default: the one running lab",
        ),
        "target",
    )
    parser.epilog = "PIDs are those that programs in the lab see."
    parser.add_argument("--json", action="store_true", help="print JSON")
