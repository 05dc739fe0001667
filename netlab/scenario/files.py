"""The only place that opens files for a scenario: which files it may name, and how much of them is read.

The user may name any file or pipe, anywhere. But whoever made a link decides where it leads, so a link that
the user names must not lead out of its folder. Files that a scenario names, or that netlab finds in its
folder, must be below that folder after all links are resolved. Then netlab opens each part of the path
relative to a descriptor of the folder, and follows no link, so nobody can add one between the check and the
opening. Devices, pipes and the kernel's own files are never read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path, PurePath

from netlab.model.problem import Position, Problem, ScenarioError
from netlab.scenario.reader import FILE_LIMIT, decode
from netlab.scenario.tree import Report, Value, shown

_PATH = getattr(os, "O_PATH", os.O_RDONLY)
_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | _PATH
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY
#: Where the kernel's own files are, which may be endless or secret
_KERNELS = ("/proc", "/sys")
#: The links to the caller's own descriptors, which no stranger makes
_DESCRIPTOR = re.compile(r"/dev/stdin|/dev/fd/[0-9]+|/proc/(?:self|[0-9]+)/fd/[0-9]+")
_AT_ONCE = 1 << 20
_record: ContextVar[dict[str, bytes] | None] = ContextVar("record", default=None)


@contextmanager
def recording() -> Iterator[dict[str, bytes]]:
    """Every file that scenarios read in the block: its absolute path, as it was named, and its content."""
    read: dict[str, bytes] = {}
    token = _record.set(read)
    try:
        yield read
    finally:
        _record.reset(token)


@dataclass(frozen=True, slots=True)
class Files:
    """The files that one scenario may read: those beneath ``folders``, resolved, or all of them."""

    folders: tuple[Path, ...]
    allow_outside: bool = False

    @classmethod
    def beneath(cls, *folders: Path, allow_outside: bool = False) -> Files:
        """As the user knows the folders."""
        return cls(tuple(folder.resolve() for folder in folders), allow_outside)

    def read(self, path: Path, name: str, at: Position | None = None) -> bytes:
        """Read a file, which error messages call ``name``; raises ScenarioError.

        ``at``: where the scenario names the file, or the file itself if netlab found it; None: the user named
        it.
        """
        where = at or Position(name, 1, 1)
        try:
            fd = self._open(path, name, where) if at is not None else self._open_named(path, name, where)
            try:
                _check(os.fstat(fd), pipe=at is None)
                content = _content(fd)
                if (record := _record.get()) is not None:
                    record[os.path.abspath(path)] = content  # noqa: PTH100 - links must stay as they are named
                return content
            finally:
                os.close(fd)
        except ScenarioError:  # a ValueError, too
            raise
        except _RefusedError as error:
            raise ScenarioError([Problem(where, f"{name} {error}")]) from None
        except (OSError, RuntimeError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ScenarioError([Problem(where, f"cannot read {name}: {why}")]) from error

    def text(self, folder: Path, value: Value, report: Report) -> str | None:
        """The text of the file that ``value`` names, seen from ``folder``; None after a reported problem."""
        name = value.text
        if not name or "\0" in name:
            report.add(value.at, f"{shown(name)} is not the name of a file")
            return None
        try:
            return decode(self.read(folder / name, name, value.position), name)
        except ScenarioError as error:
            report.problems.extend(error.problems)
            return None

    def _open(self, path: Path, name: str, where: Position) -> int:
        real = path.resolve()
        if str(PurePath(*real.parts[:2])) in _KERNELS:
            raise _RefusedError("is a file of the kernel's own, not a regular file")
        for folder in self.folders:
            if real.is_relative_to(folder):
                return _walk(folder, real.relative_to(folder).parts)
        if not self.allow_outside:
            raise _outside(where, f"{shown(name)} is outside the scenario's folder")
        return _walk(Path(real.anchor), real.parts[1:])

    def _open_named(self, path: Path, name: str, where: Position) -> int:
        status = path.stat()
        _check(status, pipe=True)
        if stat.S_ISFIFO(status.st_mode):
            return os.open(path, _READ)  # its writer is waited for, as `<(…)` of a shell needs it
        if _DESCRIPTOR.fullmatch(str(path)):
            return os.open(path, _READ | os.O_NONBLOCK)
        real = path.resolve()
        if path.is_symlink() and not self.allow_outside and not real.is_relative_to(path.parent.resolve()):
            raise _outside(where, f"{shown(name)} is a link out of its folder")
        return _walk(Path(real.anchor), real.parts[1:])


def _outside(where: Position, message: str) -> ScenarioError:
    return ScenarioError([Problem(where, message, "allow_outside_files", "lets it be read")])


class _RefusedError(Exception):
    """What the file is, in words that follow its name."""


def _walk(folder: Path, parts: tuple[str, ...]) -> int:
    """A descriptor of the file at ``parts`` below a folder, none of which may be a link; raises OSError."""
    if not parts:
        raise _RefusedError("is a folder, not a file")
    above = os.open(folder, _FOLDER)
    try:
        for part in parts[:-1]:
            below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
            os.close(above)
            above = below
        _check(os.stat(parts[-1], dir_fd=above, follow_symlinks=False))  # opening a device may do something
        return os.open(parts[-1], _READ | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=above)
    finally:
        os.close(above)


def _check(status: os.stat_result, *, pipe: bool = False) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise _RefusedError("is a folder, not a file")
    if not (stat.S_ISREG(status.st_mode) or (pipe and stat.S_ISFIFO(status.st_mode))):
        raise _RefusedError("is not a regular file")
    if stat.S_ISREG(status.st_mode) and status.st_dev in _kernel_devices():
        raise _RefusedError("is a file of the kernel's own, not a regular file")


def _kernel_devices() -> set[int]:
    """The device numbers of the mounted file systems that hold the kernel's own files."""
    found = {place.stat().st_dev for place in map(Path, _KERNELS) if place.is_dir()}
    return found - {Path("/").stat().st_dev}


def _content(fd: int) -> bytes:
    parts, size = [], 0
    while part := os.read(fd, _AT_ONCE):
        parts.append(part)
        size += len(part)
        if size > FILE_LIMIT:
            raise _RefusedError(f"is larger than {FILE_LIMIT >> 20} MiB")
    return b"".join(parts)
