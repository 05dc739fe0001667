"""Proof that a lab is dead: a lock that its supervisor holds from its first action to its last.

A PID and a start time prove nothing: both have other values in another PID or time namespace. A lock is the
same everywhere. The process that builds a lab takes it and passes it to the supervisor with the request to
build, so it always has a holder; a process that removes the remains of a dead lab must take it first.

It is an open file description lock (fcntl(2), F_OFD_SETLK), so it can be passed on, and queried without being
taken. Every forked child closes it, because it would hold the lock, too.
"""

from __future__ import annotations

import fcntl
import os
import struct

#: The file in the lab's folder that carries the lock.
FILE = "supervisor.lock"

#: struct flock: l_type, l_whence, l_start, l_len, l_pid (0 is required for these locks)
_FLOCK = struct.Struct("@hhqqi4x")

#: Descriptors of locks in this process, which a forked child must not keep.
_private: set[int] = set()


def _forked() -> None:
    while _private:
        os.close(_private.pop())


os.register_at_fork(after_in_child=_forked)


def keep_from_children(fd: int) -> None:
    """Have ``fd`` closed in every forked child of this process, until :func:`let_go`."""
    _private.add(fd)


def let_go(fd: int) -> None:
    """Close a descriptor given to :func:`keep_from_children`; in a forked child it is closed already."""
    if fd in _private:
        _private.remove(fd)
        os.close(fd)


class SupervisorLock:
    """The lock, held until this object is closed or its process ends."""

    def __init__(self, fd: int) -> None:
        """Hold the lock of ``fd``, which this object takes over."""
        self.fd = fd
        keep_from_children(fd)

    @classmethod
    def take(cls, folder: int) -> SupervisorLock | None:
        """The lock of the lab in the directory ``folder`` (a descriptor); None if its supervisor is alive.

        Creates the file if it is missing. The caller holds the lab's :class:`netlab.lab.state.Lock`.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(FILE, flags, 0o600, dir_fd=folder)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)

    def close(self) -> None:
        """Let go; nothing happens at the second time. Others with a copy of ``fd`` hold it still."""
        let_go(self.fd)
        self.fd = -1


def is_held(folder: int) -> bool:
    """Whether the supervisor of the lab in the directory ``folder`` (a descriptor) is alive."""
    try:
        fd = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    except FileNotFoundError:
        return False
    try:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked)
    finally:
        os.close(fd)
    return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
