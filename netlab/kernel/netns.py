"""Create, enter and compare network namespaces.

A namespace is just an open file descriptor, without a name or a bind mount, so it ends with the last
descriptor, socket or process that holds it. Everything here affects the calling *thread*.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from netlab.kernel import libc
from netlab.model.errors import MachineError

#: include/uapi/linux/sockios.h: a descriptor of a socket's network namespace
_SIOCGSKNS = 0x894C


def of_socket(fd: int) -> int:
    """A new descriptor of the network namespace of the socket ``fd``; raises OSError.

    Needs no /proc, which a fresh PID namespace may not have yet.
    """
    return fcntl.ioctl(fd, _SIOCGSKNS)


def current() -> int:
    """A new descriptor of the calling thread's namespace; raises OSError."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def inode(fd: int) -> int:
    """The number that identifies a namespace (as ``readlink /proc/PID/ns/net`` shows it)."""
    return os.fstat(fd).st_ino


def enter(fd: int) -> None:
    """Move the calling thread into the namespace of ``fd`` permanently; raises OSError."""
    libc.setns(fd, libc.CLONE_NEWNET, "entering a network namespace")


def unshare() -> None:
    """Move the calling thread into a new, empty network namespace.

    Raises MachineError if the kernel forbids it.
    """
    try:
        libc.unshare(libc.CLONE_NEWNET, "making a network namespace")
    except OSError as error:
        raise refusal(error) from error


def refusal(error: OSError) -> MachineError:
    """What a failed attempt to make a namespace means for the user."""
    if error.errno == errno.EPERM:
        return MachineError("making a network namespace is not permitted: run as root (sudo)")
    if error.errno in (errno.ENOSPC, errno.EUSERS):
        return MachineError(
            "the machine's limit of network namespaces is reached (sysctl user.max_net_namespaces)"
        )
    if error.errno == errno.EINVAL:
        return MachineError("this kernel has no network namespaces (CONFIG_NET_NS)")
    if error.errno == errno.ENOMEM:
        return MachineError("out of memory while making a network namespace")
    return MachineError(str(error.strerror or error))


@contextmanager
def returning() -> Iterator[None]:
    """Restore the thread's own namespace after the block.

    Raises OSError if that fails: a thread in the wrong namespace must not continue.
    """
    home = current()
    try:
        yield
    finally:
        try:
            enter(home)
        finally:
            os.close(home)


@contextmanager
def entered(fd: int) -> Iterator[None]:
    """Put the calling thread into the namespace of ``fd`` for the block; raises OSError."""
    with returning():
        enter(fd)
        yield


@contextmanager
def inside(fd: int | None) -> Iterator[None]:
    """Like :func:`entered`; with None, the calling thread stays where it is."""
    if fd is None:
        yield
        return
    with entered(fd):
        yield


def create() -> int:
    """A new network namespace, as a descriptor; its loopback is down. Raises MachineError."""
    with returning():
        unshare()
        return current()
