"""Errors on their way to another process: as a message, and back."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from netlab.model import problem  # noqa: F401  its class is among those that a message may name
from netlab.model.errors import LabError, NetlabError, exhausted


def to_message(error: BaseException, doing: str = "in the lab") -> dict[str, Any]:
    """An error as a message to another process, which turns it into an error again with :func:`from_message`.

    ``error`` is the name of its class, ``kinds`` the names of this class and its base classes, followed by
    the ``text``, ``fields`` and ``notes`` of a NetlabError. Any other error is a bug: the message has its
    ``traceback``. ``doing`` says what the process was doing, in case it ran out of files, space or memory.
    """
    error = exhausted(error, doing) or error
    found: dict[str, Any] = {"error": type(error).__name__, "text": str(error)}
    if notes := getattr(error, "__notes__", None):
        found["notes"] = list(notes)
    if isinstance(error, NetlabError):
        found["kinds"] = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, NetlabError)]
        found["fields"] = error.fields()
    else:
        found["traceback"] = "".join(traceback.format_exception(error))
    return found


def from_message(
    message: Mapping[str, Any], doing: str, bug: Callable[[str], NetlabError] = LabError
) -> NetlabError:
    """The error that another process sent with :func:`to_message`.

    If this process has not imported the class, the error has the nearest base class. A bug in the other
    process becomes a ``bug`` that says what that process was ``doing``, with the traceback as a note.
    """
    text = message["text"]
    if "kinds" in message:
        known: dict[str, type[NetlabError]] = {kind.__name__: kind for kind in _all_kinds(NetlabError)}
        kind = next(known[name] for name in message["kinds"] if name in known)
        error = kind.of(text, message["fields"])
    else:
        error = bug(f"{doing}: {text}" if text else doing)
        error.add_note(message["traceback"])
    for note in message.get("notes", ()):
        error.add_note(note)
    return error


def _all_kinds(kind: type[NetlabError]) -> Iterator[type[NetlabError]]:
    """The class itself, and all its subclasses that have been imported."""
    yield kind
    for one in kind.__subclasses__():
        yield from _all_kinds(one)
