"""The arguments of ``netlab clean``."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("-n", "--dry-run", action="store_true", help="only list what would be removed")
    parser.add_argument("--json", action="store_true", help="print what was removed as JSON")
    parser.epilog = (
        "A lab that was killed leaves only names behind: its directory, and symlinks in /run/netns. "
        "`up`, `down` and `ls` remove them too, whenever you run them."
    )
