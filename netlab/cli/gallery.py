"""``netlab gallery``: the scenarios that come with netlab, listed, or one written to this folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli.gallery_page import entry_of, scenarios
from netlab.cli.output import print_json, print_text, say, write_anew
from netlab.model.errors import UsageError
from netlab.model.near import nearest
from netlab.view import rich
from netlab.view.console import console

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import GalleryDocument, GalleryScenarioDocument
    from netlab.cli.gallery_page import Entry


def run(args: argparse.Namespace) -> int:
    """List, or write one; returns 0. Raises UsageError for an unknown name and for files that are there."""
    names = scenarios()
    if args.name is None:
        if args.output or args.force:
            raise UsageError("say which scenario to write; netlab gallery lists them")
        _list([entry_of(Path(path)) for path in names.values()], as_json=args.json)
        return 0
    name = args.name.removesuffix(".yaml")
    if name not in names:
        one = nearest(name, names)
        within = sorted((known for known in names if name in known), key=lambda one: not one.startswith(name))
        near = within or ([one] if one else [])
        more = f" (did you mean {' or '.join(near)}?)" if near else "; netlab gallery lists them"
        raise UsageError(f"the gallery has no scenario {args.name!r}{more}")
    write(names[name], args.output or f"{name}.yaml", force=args.force)
    return 0


def _list(entries: list[Entry], *, as_json: bool) -> None:
    if as_json:
        document: GalleryDocument = {"scenarios": [_document(entry) for entry in entries]}
        print_json(document)
        return
    table = rich.Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for entry in entries:
        table.add_row(rich.Text(entry.name, style="bold"), rich.Text(entry.question))
    console(sys.stdout).print(table)
    say("netlab gallery NAME writes one to this folder")


def _document(entry: Entry) -> GalleryScenarioDocument:
    return {
        "name": entry.name,
        "title": entry.title,
        "question": entry.question,
        "claim": entry.claim,
        "engine": entry.engine,
        "holds": entry.holds,
        "issues": list(entry.issues),
    }


def write(path: str, output: str, *, force: bool = False) -> None:
    """Copy a scenario and the files that it names; raises UsageError for what is there already."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if output == "-":
        print_text(text.rstrip("\n"))
        return
    beside = os.path.splitext(path)[0]  # a scenario's own folder has its name
    more = sorted(os.listdir(beside)) if os.path.isdir(beside) else []
    own = os.path.join(os.path.dirname(output), os.path.basename(beside))
    copies = [(path, output), *((os.path.join(beside, name), os.path.join(own, name)) for name in more)]
    there = [target for _, target in copies if os.path.lexists(target)]
    if there and not force:
        raise UsageError(f"{there[0]} is there already; --force replaces it")
    if more:
        if os.path.islink(own):
            raise UsageError(f"{own} is a link, which is not followed")
        os.makedirs(own, exist_ok=True)
    for source, target in copies:
        with open(source, "rb") as file:
            write_anew(target, file.read(), replace=force)
    say(f"wrote {', '.join(target for _, target in copies)}")
    say(f"now: netlab up {output}, or netlab verify {output}")
