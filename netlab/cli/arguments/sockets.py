"""The arguments of ``netlab sockets``."""

from __future__ import annotations

import argparse

from netlab.cli.help import add_target


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_target(parser, "LAB|[LAB.]NODE", "a lab or one of its nodes; default: the one running lab")
    parser.epilog = "PIDs are those that programs in the lab see."
    parser.add_argument("--json", action="store_true", help="print JSON")
