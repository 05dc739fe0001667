"""A pool of pipes for splice(): bounded, so that slow readers cannot fill the machine's memory."""

from __future__ import annotations

import fcntl
import os

#: The most pipes that exist at once, thus the most that slow bulk readers can hold of the kernel's memory.
LIMIT = 128
#: Idle pipes kept for the next bulk transfer.
KEPT = 8
#: Bytes that a pipe holds; the default of fs.pipe-max-size.
SIZE = 1024 * 1024


class Pipe:
    """One pipe; ``held`` bytes are inside."""

    __slots__ = ("held", "read", "size", "write")

    def __init__(self) -> None:
        self.read, self.write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.held = 0
        try:
            self.size = fcntl.fcntl(self.write, fcntl.F_SETPIPE_SZ, SIZE)
        except OSError:  # over the limit of an unprivileged user (pipe(7)): it stays as small as it is
            self.size = fcntl.fcntl(self.write, fcntl.F_GETPIPE_SZ)

    def close(self) -> None:
        """Give both ends back."""
        os.close(self.read)
        os.close(self.write)


class Pipes:
    """The pipes of one process."""

    def __init__(self) -> None:
        self._free: list[Pipe] = []
        self._limit = LIMIT
        self._made = 0

    def take(self) -> Pipe | None:
        """An empty pipe; None if there are too many pipes or no descriptors are left."""
        if self._free:
            return self._free.pop()
        if self._made >= self._limit:
            return None
        try:
            pipe = Pipe()
        except OSError:  # no descriptors left: the transfer goes on without a pipe
            return None
        self._made += 1
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """Keep an empty pipe for reuse; close a pipe that contains data."""
        if pipe.held or len(self._free) >= KEPT:
            self._made -= 1
            pipe.close()
        else:
            self._free.append(pipe)

    def shrink(self) -> None:
        """Close the idle ones: their descriptors are needed."""
        while self._free:
            self._made -= 1
            self._free.pop().close()
