"""``netlab clean``: remove the remains of killed labs: recorded names in the file system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netlab.cli.output import print_json, print_text, say
from netlab.lab import state
from netlab.model.shown import shown_in_line

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import CleanDocument


def run(args: argparse.Namespace) -> int:
    """List, then remove; returns 0."""
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
        document: CleanDocument = {"stale": paths, "removed": removed}
        print_json(document)
    elif not paths:
        say("nothing to remove")
    elif not args.dry_run:
        say(f"removed {len(removed)} names of {len(stale)} killed labs")
    return 0
