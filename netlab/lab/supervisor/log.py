"""Collect the output of a lab's programs in the lab's log, from one pipe for each program.

A program can read its own pipe, as in a container, so no two programs share one.
"""

from __future__ import annotations

import os
from contextlib import suppress

#: Bytes of log that are kept at least, and at most before the older half goes.
KEPT, MOST = 1 << 19, 1 << 20
_AT_ONCE = 1 << 16


class Log:
    """One program's pipe into a file. ``pipe`` is the writing end, for the program.

    The reading end is for the supervisor's loop, which calls :meth:`take`.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._read, self.pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.pipe, True)  # a program waits while the pipe is full

    def fileno(self) -> int:
        """The end that becomes readable when there is output, or all writers are gone."""
        return self._read

    def take(self) -> bool:
        """Append the available output; False once no more can come."""
        try:
            data = os.read(self._read, _AT_ONCE)
        except BlockingIOError:
            return True
        if not data:
            return False
        with suppress(OSError):  # a full disk: only the output is lost
            self._append(data)
        return True

    def _append(self, data: bytes) -> None:
        fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            if size + len(data) > MOST:
                kept = os.pread(fd, KEPT, size - KEPT)
                os.truncate(fd, 0)
                os.write(fd, kept)
            os.write(fd, data)
        finally:
            os.close(fd)

    def started(self) -> None:
        """The program has its end of the pipe: close ours."""
        os.close(self.pipe)

    def close(self) -> None:
        """Stop reading."""
        os.close(self._read)
