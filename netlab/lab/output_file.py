"""The one way in which netlab opens a file that a user names for output.

Somebody else may have prepared the folder. So a link is never followed (a relative path has none in any
part), only regular files are emptied, and nothing is waited for: a pipe that nobody reads is an error.
Devices, and descriptors of one's own (``/dev/stdout``, ``>(…)`` of a shell), are opened as they are.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import IO

from netlab.model.errors import UsageError, exhausted

_OWN = ("/dev/", "/proc/self/fd/")
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_WHY = {
    errno.ELOOP: "it is a link, and netlab writes through none: name the file to which it leads",
    errno.ENOTDIR: "a part of the path is a link or no folder",
    errno.ENXIO: "it is a pipe or a socket that nobody reads",
}


def open_output(path: str | os.PathLike[str], *, buffered: bool = True) -> IO[bytes]:
    """Open a file for writing, empty; raises UsageError if that is impossible, MachineError without space.

    ::

        with open_output("flow.svg") as file:
            file.write(b"<svg/>")
    """
    name = os.fspath(path)
    try:
        descriptor = _open(name)
    except OSError as error:
        why = _WHY.get(error.errno or 0, error.strerror)
        raise exhausted(error) or UsageError(f"cannot write {name}: {why}") from error
    return open(descriptor, "wb", buffering=-1 if buffered else 0)


def _open(path: str) -> int:
    if path.startswith(_OWN):
        return os.open(
            path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | (os.O_CREAT if "/shm/" in path else 0), 0o666
        )
    folder = _folder_of(path)
    try:
        descriptor = os.open(os.path.basename(path), _FLAGS, 0o666, dir_fd=folder)
    finally:
        if folder is not None:
            os.close(folder)
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.ftruncate(descriptor, 0)
        os.set_blocking(descriptor, True)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _folder_of(path: str) -> int | None:
    """A descriptor of the folder, in which no part of a relative path is a link."""
    head, name = os.path.split(path)
    if not name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not head:
        return None
    if os.path.isabs(path):
        return os.open(head, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    folder = os.open(".", _FOLDER)
    for part in head.split("/"):
        try:
            inner = os.open(part or ".", _FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = inner
    return folder
