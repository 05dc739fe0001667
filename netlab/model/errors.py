"""Every error that netlab raises on purpose, and the exit code that each becomes.

::

    NetlabError              1
    ├── UsageError           2   the command line cannot be understood, or names what is not there
    │   └── ScenarioError    2   the file cannot be understood: every problem with its position
    ├── Unmeasured           3   the instrument failed; never a pass, never a fail
    ├── MachineError         4   the machine lacks something: privileges, a tool, a kernel feature
    ├── NothingTested        5
    └── LabError             1   a running lab refused or failed
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netlab.model.shown import shown_in_line


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where in a user's file something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{shown_in_line(self.file)}:{self.line}:{self.column}"


class Argument(Position):
    """The argument of a Python call, in the place of a file."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.file


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with a user's file."""

    position: Position
    message: str

    def __str__(self) -> str:
        return f"{self.position}: {self.message}"


class NetlabError(Exception):
    """The root. Its text is for the user: one line or more, no traceback."""

    exit_code = 1


class UsageError(NetlabError):
    """The command line cannot be understood, or names what is not there."""

    exit_code = 2


class ScenarioError(UsageError):
    """A scenario cannot be used: all its problems at once, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


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


def to_message(error: BaseException) -> dict[str, Any]:
    """An error as a message: netlab's own by class and text, any other with its traceback."""
    import traceback

    error = exhausted(error, "in the lab") or error

    told: dict[str, Any] = {"error": type(error).__name__, "text": str(error)}
    if isinstance(error, ScenarioError):
        told["problems"] = [
            (p.position.file, p.position.line, p.position.column, p.message) for p in error.problems
        ]
    elif not isinstance(error, NetlabError):
        told["traceback"] = "".join(traceback.format_exception(error))
    return told
