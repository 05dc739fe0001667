"""What verbs write: text and JSON on stdout, words on stderr, files."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from netlab import json_text
from netlab.cli.help import columns
from netlab.cli.stream import in_colour
from netlab.model.errors import UsageError, exhausted
from netlab.view.plain import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Version of every JSON document that the verbs of this room print.
SCHEMA_VERSION = 1


def write_anew(path: str, data: bytes, *, replace: bool) -> None:
    """Write a file that is not there yet, or with ``replace`` in its place; a link is never followed.

    Raises UsageError if that is impossible.
    """
    name = f"{path}.new" if replace else path
    try:
        if replace and os.path.lexists(name):
            os.unlink(name)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with open(descriptor, "wb") as file:
            file.write(data)
        if replace:
            os.replace(name, path)
    except OSError as error:
        raise exhausted(error) or UsageError(f"cannot write {path}: {error.strerror}") from error


def say(text: str) -> None:
    """A word to the user, on stderr."""
    sys.stderr.write(visible(f"{text}\n"))
    sys.stderr.flush()


def print_text(text: str = "", *, styles: bool = False) -> None:
    """Print lines on stdout, with control characters from scenarios, packets and programs escaped.

    ``styles``: the text has netlab's own colour or emphasis.
    """
    sys.stdout.write(visible(f"{text}\n", styles=styles))


def print_json(document: Mapping[str, object]) -> None:
    """A JSON document on stdout, with its schema version in front."""
    print_text(json_text.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2, ensure_ascii=False))


def width() -> int | None:
    """The columns of the terminal that stdout is; None elsewhere, where no line is ever wrapped."""
    return columns() if sys.stdout.isatty() else None


def colours(stream: Any) -> bool:
    """Whether to write in colour: a terminal, and nobody said NO_COLOR (no-color.org)."""
    return in_colour(stream)
