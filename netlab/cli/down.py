"""``netlab down``: take labs down; it is no error if one is already down."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netlab.cli.common import print_json, say
from netlab.cli.complete import hint

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(
        parser.add_argument("labs", nargs="*", metavar="LAB", help="a lab's name, or its scenario file"),
        "lab",
    )
    parser.add_argument("-a", "--all", action="store_true", help="every lab")
    parser.add_argument("--json", action="store_true", help="print the names of the labs as JSON")
    parser.epilog = "Without LAB: the one running lab, or the lab of this folder's scenario."


def run(args: argparse.Namespace) -> int:
    """Take the labs down; returns 0 also if there was none."""
    from netlab.lab.standing import take_down

    taken = [name for name in _names(args) if take_down(name, say)]
    if args.json:
        print_json({"down": taken})
    elif taken:
        say(f"down: {', '.join(taken)}")
    else:
        say("nothing was up")
    return 0


def _names(args: argparse.Namespace) -> list[str]:
    from netlab.lab import state
    from netlab.model.errors import UsageError

    records = [record.name for record in state.records()]
    if args.all:
        return records
    if args.labs:
        return [_name_of(text) for text in args.labs]
    if len(records) > 1:
        raise UsageError(f"say which lab, or --all: {', '.join(records)}")
    return records


def _name_of(text: str) -> str:
    from netlab.lab import state

    if os.sep not in text and not text.endswith((".yaml", ".yml")):
        return text
    path = os.path.abspath(text)
    for record in state.records():
        if path in record.data.get("files", ()):
            return record.name
    from pathlib import Path

    from netlab.scenario.names import lab_name

    return lab_name(Path(path))
