"""``netlab twin``: the scenario of a collected host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli.collections import collection_of
from netlab.cli.output import say
from netlab.lab.twins import Twin, write_folder
from netlab.model.errors import UsageError, exhausted
from netlab.model.file_names import lab_name
from netlab.twin.draft import NOTES

if TYPE_CHECKING:
    import argparse


def run(args: argparse.Namespace) -> int:
    """Write the folder; returns 0. Raises UsageError for an archive or a folder that cannot be used."""
    collection = collection_of(args.archive, args.origin)
    twin = Twin(collection)
    place = os.path.normpath(args.output or _named(twin.drafted.host.name))
    try:
        write_folder(twin.files, place)
    except FileExistsError:
        raise UsageError(f"{place} is there already; name another folder with -o") from None
    except OSError as error:
        raise exhausted(error) or UsageError(f"cannot write {place}: {error.strerror}") from error
    host = twin.drafted.host
    running = sum(one.running for one in host.containers)
    say(f"wrote {place}: {len(host.networks)} networks, {running} containers, {len(host.links)} interfaces")
    notes = len(twin.files[NOTES].splitlines()) if twin.drafted.notes or twin.rules.notes else 0
    if notes:
        say(f"{notes} things were not taken along as they are: {os.path.join(place, NOTES)}")
    say(f"now: netlab up {place}")
    return 0


def _named(host: str) -> str:
    """A folder's name for a host of any name."""
    return lab_name(Path(host))
