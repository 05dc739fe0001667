"""``netlab engines``: which engines there are, their defaults, and how each was checked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.json_objects import object_of
from netlab.cli.output import print_json
from netlab.model.shown import shown_in_line
from netlab.plan.engines import engine_about, known_engines
from netlab.view import rich
from netlab.view.console import console

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from netlab.cli.documents import EngineDocument, EnginesDocument
    from netlab.model.engine_about import EngineAbout


def run(args: argparse.Namespace) -> int:
    """List the engines, or describe some; returns 0. Raises UsageError for a name that none has."""
    found = [engine_about(name) for name in args.names] or known_engines()
    if args.json:
        document: EnginesDocument = {"engines": [_document(one) for one in found]}
        print_json(document)
    elif args.names:
        for number, one in enumerate(found):
            _print([] if not number else [("", "")])
            _print(_described(one))
    else:
        _list(found)
    return 0


def _document(one: EngineAbout) -> EngineDocument:
    return {
        "name": one.name,
        "versions": one.versions,
        "file": one.file,
        "settings": [{"name": name, "value": value} for name, value in one.settings],
        "leaves": [{"name": name, "value": value} for name, value in one.leaves],
        "recorded": [object_of(recorded) for recorded in one.recorded],
        "beside": list(one.beside),
        "also": one.also,
    }


def _list(found: Sequence[EngineAbout]) -> None:
    table = rich.Table(box=None, pad_edge=False)
    for head in ("ENGINE", "STANDS FOR", "RECORDED", "BESIDE"):
        table.add_column(head, no_wrap=head == "ENGINE", overflow="fold")
    for one in found:
        number = sum(recorded.configurations for recorded in one.recorded)
        name = f"{one.name} ({one.also})" if one.also else one.name
        cells = (name, one.versions, str(number or "-"), ", ".join(one.beside) or "-")
        table.add_row(*(rich.Text(shown_in_line(cell)) for cell in cells))
    console(sys.stdout).print(table)


def _described(one: EngineAbout) -> Iterator[tuple[str, str]]:
    yield one.name, one.versions
    for setting, value in one.settings:
        yield f"  {one.file}: {setting}", value
    for what, how in one.leaves:
        yield f"  on the host: {what}", how
    for recorded in one.recorded:
        counted = f"{recorded.configurations} configurations, {recorded.flows} flows"
        yield f"  compared with recordings of {recorded.version}", counted
    if one.beside:
        yield "  run beside the real one (conformance)", ", ".join(one.beside)


def _print(rows: Iterable[tuple[str, str]]) -> None:
    table = rich.Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(rich.Text(shown_in_line(cell)) for cell in row))
    console(sys.stdout).print(table)
