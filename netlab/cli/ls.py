"""``netlab ls``: the running labs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from netlab.cli.output import print_json
from netlab.lab import state
from netlab.model.shown import shown_in_line

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import LabRecordDocument, LsDocument


def run(args: argparse.Namespace) -> int:
    """List the labs; returns 0."""
    labs = state.standing()
    if args.json:
        document: LsDocument = {"labs": [_document(record.name, record.data) for record in labs]}
        print_json(document)
    elif args.quiet:
        for record in labs:
            print(shown_in_line(record.name))
    else:
        _table([_row(record.name, record.data) for record in labs])
    return 0


def _document(name: str, data: dict[str, Any]) -> LabRecordDocument:
    return {
        "name": name,
        "files": data["files"],
        "engines": data["engines"],
        "hosts": data["hosts"],
        "containers": data["containers"],
        "outside": data["outside"],
        "published": data["published"],
        "created": data["created"],
        "pid": data["pid"],
        "owner": data["owner"],
    }


HEAD = ("LAB", "ENGINE", "CONTAINERS", "PUBLISHED", "UP FOR", "SCENARIO")


def _row(name: str, data: dict[str, Any]) -> tuple[str, ...]:
    owner = data.get("owner")
    return (
        name,
        ", ".join(data.get("engines", ())),
        str(data.get("containers", "")),
        str(data.get("published", "")),
        age(time.time() - data.get("created", 0)) + (f" (of {owner})" if owner else ""),
        ", ".join(data.get("files", ())),
    )


def age(seconds: float) -> str:
    """``42 s``, ``5 min``, ``3 h``, ``2 d``."""
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {word}"
    return f"{int(seconds // 86400)} d"


def _table(rows: list[tuple[str, ...]]) -> None:
    rows = [tuple(map(shown_in_line, row)) for row in rows]
    widths = [max(len(row[i]) for row in [HEAD, *rows]) for i in range(len(HEAD) - 1)]
    for row in [HEAD, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]]).rstrip())
