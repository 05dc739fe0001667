"""``netlab clean``: remove the remains of killed labs: recorded names in the file system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netlab.cli.common import print_json, print_text, say
from netlab.model.shown import shown_in_line

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("-n", "--dry-run", action="store_true", help="only list what would be removed")
    parser.add_argument("--json", action="store_true", help="print what was removed as JSON")
    parser.epilog = (
        "A lab that was killed leaves only names behind: its directory, and symlinks in /run/netns. "
        "`up`, `down` and `ls` remove them too, whenever you run them."
    )


def run(args: argparse.Namespace) -> int:
    """List, then remove; returns 0."""
    from netlab.lab import state

    stale = state.dead()
    paths = [path for record in stale for path in state.leftovers(record) if os.path.lexists(path)]
    if not args.json:
        for path in paths:
            print_text(shown_in_line(path))
    removed: list[str] = []
    if not args.dry_run:
        for record in stale:
            removed += state.sweep(record.name)
    if args.json:
        print_json({"stale": paths, "removed": removed})
    elif not paths:
        say("nothing to remove")
    elif not args.dry_run:
        say(f"removed {len(removed)} names of {len(stale)} killed labs")
    return 0
