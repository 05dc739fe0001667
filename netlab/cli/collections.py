"""Collections that the command line names: an archive, or this host itself."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netlab.cli.collecting import Collecting
from netlab.cli.output import say
from netlab.lab.twins import Twin, written
from netlab.model.errors import MachineError, UsageError
from netlab.model.file_names import lab_name
from netlab.twin.archive import LARGEST_ARCHIVE, Collection, pack, read_archive
from netlab.version import __version__

#: verbs whose labs go on when the verb has ended
_LASTING = ("up",)


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
def twins_in_place_of(archives: AbstractSet[str], verb: str, args: argparse.Namespace) -> Iterator[None]:
    """Put the twin of its host in the place of each archive among the files of a command line.

    ``args.archives`` says then which archive each file is of, by its path.
    Raises UsageError for a lab that would outlive its scenario.
    """
    with ExitStack() as stack:

        def twin(word: str) -> str:
            if word not in archives:
                return word
            if verb in _LASTING:
                how = f"netlab twin {word} -o FOLDER; netlab {verb} FOLDER"
                raise UsageError(f"{word} is an archive of netlab collect, and no scenario: {how}")
            made = Twin(read_archive(archive_bytes(word), word))
            name = lab_name(Path(made.drafted.host.name))
            place = stack.enter_context(written(made.files, name))
            args.archives = {**getattr(args, "archives", {}), place: word}
            return place

        for name in ("files", "merged"):
            words = getattr(args, name, None)
            if words:
                setattr(args, name, list(map(twin, words)))
        if getattr(args, "lab", None):
            args.lab = twin(args.lab)
        yield
