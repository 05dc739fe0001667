"""The arguments of ``netlab shell``."""

from __future__ import annotations

import argparse

from netlab.cli.help import hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(
        parser.add_argument(
            "target",
            nargs="?",
            metavar="[LAB.]NODE|LAB",
            help="a node, or a lab; default: the one running lab",
        ),
        "target",
    )
    parser.add_argument("--shell", metavar="PROGRAM", help="the shell; default: $SHELL")
    parser.epilog = (
        "A shell in a node sees what `netlab exec` shows there. In the shell of a lab, `ip netns exec "
        "NODE COMMAND` works for every node, also without root. The prompt says where you are."
    )
