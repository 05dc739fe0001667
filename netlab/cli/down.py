"""``netlab down``: take labs down; it is no error if one is already down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli.output import print_json, say
from netlab.lab import state
from netlab.lab.bring_up import take_down
from netlab.model.errors import UsageError
from netlab.model.file_names import lab_name

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import DownDocument


def run(args: argparse.Namespace) -> int:
    """Take the labs down; returns 0 also if there was none."""
    taken = [name for name in _names(args) if take_down(name, say)]
    if args.json:
        document: DownDocument = {"down": taken}
        print_json(document)
    elif taken:
        say(f"down: {', '.join(taken)}")
    else:
        say("nothing was up")
    return 0


def _names(args: argparse.Namespace) -> list[str]:
    records = [record.name for record in state.records()]
    if args.all:
        return records
    if args.labs:
        return [_name_of(text) for text in args.labs]
    if len(records) > 1:
        raise UsageError(f"say which lab, or --all: {', '.join(records)}")
    return records


def _name_of(text: str) -> str:
    if os.sep not in text and not text.endswith((".yaml", ".yml")):
        return text
    path = os.path.abspath(text)
    for record in state.records():
        if path in record.data.get("files", ()):
            return record.name
    return lab_name(Path(path))
