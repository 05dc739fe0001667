"""The arguments of ``netlab completion``."""

from __future__ import annotations

import argparse

from netlab.cli.completion import SCRIPTS


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("shell", choices=tuple(SCRIPTS), help="the shell")
    parser.epilog = (
        "In bash: source <(netlab completion bash). Completes verbs, options, labs, nodes and files."
    )
