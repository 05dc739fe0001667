"""The arguments of ``netlab shell``."""

from __future__ import annotations

import argparse

from netlab.cli.help import add_target


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_target(parser, "[LAB.]NODE|LAB", "a node, or a lab; default: the one running lab")
    parser.add_argument("--shell", metavar="PROGRAM", help="the shell; default: $SHELL")
    parser.epilog = (
        "A shell in a node sees what `netlab exec` shows there. In the shell of a lab, `ip netns exec "
        "NODE COMMAND` works for every node, also without root. The prompt says where you are."
    )
