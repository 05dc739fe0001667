"""Collections that the command line names: an archive, or this host itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netlab.cli.collecting import Collecting
from netlab.cli.output import say
from netlab.lab.twins import Twin, written
from netlab.model.errors import MachineError, UsageError
from netlab.model.file_names import lab_name
from netlab.twin.archive import LARGEST_ARCHIVE, Collection, is_archive, pack, read_archive
from netlab.version import __version__


def collection_of(archive: str | None, origin: str | None) -> Collection:
    """The collection in an archive, or of this host now; raises UsageError unless one of them is asked."""
    if (archive is None) == (origin is None):
        raise UsageError("name an archive of netlab collect, or give --from docker for this host")
    if archive is not None:
        return read_archive(archive_bytes(archive), archive)
    if os.geteuid() != 0:
        raise MachineError("only root can read the rules and containers of this host: sudo netlab …")
    asked = Collecting(say)
    asked.run()
    return read_archive(pack(asked.files, asked.ran, __version__), "this host")


def archive_bytes(path: str) -> bytes:
    """An archive's content, as far as one may be long; raises UsageError."""
    try:
        with open(path, "rb") as file:
            return file.read(LARGEST_ARCHIVE + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


@contextmanager
def twins_in_place_of_archives(files: Sequence[str]) -> Iterator[list[str]]:
    """The files of a command line, with the twin of its host in the place of each archive."""
    with ExitStack() as stack:
        found = []
        for file in files:
            if names_archive(file):
                twin = Twin(read_archive(archive_bytes(file), file))
                name = lab_name(Path(twin.drafted.host.name))
                file = stack.enter_context(written(twin.files, name))
            found.append(file)
        yield found


def names_archive(path: str) -> bool:
    """Whether a file of the command line is an archive and no scenario."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return is_archive(file.read(512))
    except OSError:
        return False
