"""A recorded collection (Docker 20.10.24 in a cell of the conformance tests), and what one makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from netlab.lab.twins import Twin
from netlab.twin.archive import Collection, read_archive
from netlab.twin.drift import drift
from netlab.twin.finding import Finding

RECORDED = Path(__file__).parents[1] / "data" / "collections" / "docker-20.10.24.tar.gz"


def recorded() -> Collection:
    """The collection as it was recorded, of a healthy host."""
    return read_archive(RECORDED.read_bytes(), RECORDED.name)


def changed(edits: Mapping[str, Callable[[str], str]]) -> Collection:
    """The recorded collection with some of its files edited."""
    whole = recorded()
    files = {**whole.files, **{file: edit(whole.text(file)) for file, edit in edits.items()}}
    assert all(files[file] != whole.text(file) for file in edits), "an edit changes nothing"
    return replace(whole, files=files)


def found_on(collection: Collection) -> list[Finding]:
    """What drift finds on the host of a collection."""
    twin = Twin(collection)
    return drift(twin.drafted.host, twin.facts)
