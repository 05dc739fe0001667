"""Every error that netlab raises on purpose, and the exit code that each becomes.

::

    NetlabError              1
    ├── UsageError           2   a request makes no sense, or names something that does not exist
    │   ├── OptionError      2   the value of one option cannot be used; also a ValueError
    │   ├── NoLabError       2   no running lab has that name; also a LookupError
    │   └── ScenarioError    2   the file cannot be understood: every problem with its position
    ├── Unmeasured           3   the instrument failed; never a pass, never a fail
    ├── MachineError         4   the machine lacks something: privileges, a tool, a kernel feature
    ├── NothingTested        5
    └── LabError             1   a running lab refused or failed
        └── EngineFailed     1   the engine failed at an event, as the real one does
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from netlab.model.shown import shown_in_line


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where in a user's file something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        if isinstance(self.file, OptionName) and (self.line, self.column) == (1, 1):
            return self.file
        return f"{shown_in_line(self.file)}:{self.line}:{self.column}"


class OptionName(str):
    """An option of a lab, in the place of a file: its name in Python, such as ``project_name``."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a user's file."""

    position: Position
    message: str
    #: The option that would help, and what it does ("lets it be read"); both empty if there is none.
    option: str = ""
    effect: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.option} {self.effect}" if self.option else ""
        return f"{self.position}: {self.message}{remedy}"

    def spelled(self, spell: Callable[[str], str]) -> Problem:
        """The same problem, with the names of options as ``spell`` writes them."""
        file = self.position.file
        position = replace(self.position, file=OptionName(spell(file))) if _is_option(file) else self.position
        return replace(self, position=position, option=self.option and spell(self.option))


def _is_option(file: str) -> bool:
    return isinstance(file, OptionName)


class NetlabError(Exception):
    """The root. Its text is for the user: one line or more, no traceback."""

    exit_code = 1

    def fields(self) -> dict[str, Any]:
        """What a message has to carry beside the text, as JSON has it: see :func:`to_message`."""
        return {}

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> NetlabError:
        """The inverse of :meth:`fields`; a class with another constructor overrides both."""
        del fields
        return cls(text)


class UsageError(NetlabError):
    """A request makes no sense, or names something that does not exist."""

    exit_code = 2

    def spelled(self, spell: Callable[[str], str]) -> UsageError:
        """The same error, with the names of options as ``spell`` writes them (``--project-name``)."""
        del spell  # no options in it
        return self


class NoLabError(UsageError, LookupError):
    """No running lab has that name."""


class OptionError(UsageError, ValueError):
    """The value of an option cannot be used. ``option`` is the option's name in Python."""

    def __init__(self, message: str, option: str = "") -> None:
        self.message = message
        self.option = option
        super().__init__(f"{option}: {message}" if option else message)

    def fields(self) -> dict[str, Any]:
        """The message alone, and the option."""
        return {"message": self.message, "option": self.option}

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> OptionError:
        """The inverse of :meth:`fields`."""
        del text
        return cls(fields["message"], fields["option"])

    def spelled(self, spell: Callable[[str], str]) -> OptionError:
        """The same error, with the option's name as ``spell`` writes it."""
        return OptionError(self.message, self.option and spell(self.option))


class ScenarioError(UsageError):
    """A scenario cannot be used: all its problems at once, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def fields(self) -> dict[str, Any]:
        """Every problem: whether it is about an option, file, line, column, message, the remedy."""
        return {
            "problems": [
                [_is_option(p.position.file), *astuple(p.position), p.message, p.option, p.effect]
                for p in self.problems
            ]
        }

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> ScenarioError:
        """The inverse of :meth:`fields`; the text is that of the problems."""
        del text
        return cls(
            [
                Problem(Position(OptionName(file) if is_option else file, line, column), *words)
                for is_option, file, line, column, *words in fields["problems"]
            ]
        )

    def spelled(self, spell: Callable[[str], str]) -> ScenarioError:
        """The same problems, with the names of options as ``spell`` writes them."""
        return ScenarioError([problem.spelled(spell) for problem in self.problems])


class ScenarioWarning(UserWarning):
    """Something that the user of a scenario should know, with its position: a warning of Python's."""


class Unmeasured(NetlabError):
    """The instrument failed, so nothing can be said."""

    exit_code = 3


class MachineError(NetlabError):
    """The machine lacks something; the text says what, and how to get it."""

    exit_code = 4


class NothingTested(NetlabError):
    """There was nothing to test."""

    exit_code = 5


class LabError(NetlabError):
    """A running lab refused or failed."""


class EngineFailed(LabError):
    """The engine began something and could not end it, as the real one could not; the text holds its words.

    The lab is what the real daemon leaves behind then. Source: Docker after its chains were deleted.
    """


#: What a machine, or a process on it, can run out of (errno(3)), and what helps.
_EXHAUSTED = {
    errno.EMFILE: "raise the limit of open files (ulimit -n 4096)",
    errno.ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
    errno.ENOSPC: "",
    errno.EDQUOT: "",
    errno.ENOMEM: "give it more memory: a cgroup or ulimit -v may be in the way",
}


def exhausted(error: BaseException, doing: str = "") -> MachineError | None:
    """The error to show where files, space or memory ran out, with what helps; None for any other."""
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, "Cannot allocate memory")
    if not isinstance(error, OSError) or error.errno not in _EXHAUSTED:
        return None
    path = error.filename.decode(errors="replace") if isinstance(error.filename, bytes) else error.filename
    what = ": ".join(filter(None, (doing, path and str(path), error.strerror)))
    return MachineError("; ".join(filter(None, (what, _EXHAUSTED[error.errno]))))


def to_message(error: BaseException, doing: str = "in the lab") -> dict[str, Any]:
    """An error as a message to another process, which makes it an error again with :func:`from_message`.

    ``error``: the name of its class; ``kinds``: of that and the classes above it; ``text``, ``fields`` and
    ``notes`` of a NetlabError. Any other error is a bug: it brings its ``traceback``. ``doing`` says what ran
    out of files, space or memory.
    """
    error = exhausted(error, doing) or error
    found: dict[str, Any] = {"error": type(error).__name__, "text": str(error)}
    if notes := getattr(error, "__notes__", None):
        found["notes"] = list(notes)
    if isinstance(error, NetlabError):
        found["kinds"] = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, NetlabError)]
        found["fields"] = error.fields()
    else:
        import traceback  # what a lab without bugs never needs

        found["traceback"] = "".join(traceback.format_exception(error))
    return found


def from_message(
    message: Mapping[str, Any], doing: str, bug: Callable[[str], NetlabError] = LabError
) -> NetlabError:
    """The error that another process sent with :func:`to_message`.

    A class that this process has not imported becomes the nearest one above it. A bug of the other process
    becomes a ``bug`` that says what it was ``doing``, with the traceback as a note.
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
    """The class itself, and every class below it that has been imported."""
    yield kind
    for one in kind.__subclasses__():
        yield from _all_kinds(one)
