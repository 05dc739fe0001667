"""Network namespaces that belong to their own user namespace.

A program that is root there has its capabilities over that network, but no rights on the machine.
"""

from __future__ import annotations

import os
import signal

from netlab.kernel import libc, process
from netlab.model.errors import MachineError

#: The machine's IDs that such a user namespace uses: users, packages and systemd's containers never get them
#: (systemd's UIDS-GIDS calls 0x70000000 to 0x7fffffff unused).
FIRST_ID = 0x70000000
IDS = 65536


def full() -> bool:
    """Whether the caller's user namespace has all ids, so that parts of it can be given away."""
    return ids() >= FIRST_ID + IDS


def ids() -> int:
    """How many ids the caller's user namespace has, from 0 on."""
    return int(_own_map()[2])


def _own_map() -> list[bytes]:
    fd = os.open("/proc/self/uid_map", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096).split()
    finally:
        os.close(fd)


def initial() -> bool:
    """Whether the caller is in the machine's own user namespace: only there mknod(2) makes devices."""
    return _own_map() == [b"0", b"0", b"4294967295"]


def create_network() -> int:
    """A new network namespace in a new user namespace, as a descriptor. For a single-threaded process.

    For the machine's root, it uses 65536 unused IDs; within a user namespace with one ID, that one. Raises
    MachineError if user namespaces are unavailable.
    """
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    go_read, go_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go_write)
            libc.unshare(libc.CLONE_NEWUSER | libc.CLONE_NEWNET, "making a user namespace")
            os.write(ready_write, b"ok")
            os.read(go_read, 1)
        except OSError as error:
            os.write(ready_write, (error.strerror or str(error)).encode())
        finally:
            os._exit(0)
    os.close(ready_write)
    os.close(go_read)
    try:
        words = process.first_words(ready_read, pid)
        if words != b"ok":
            said = "it takes too long" if words is None else words.decode(errors="replace")
            raise MachineError(f"a program of the scenario needs one: {said}")
        _map_ids(pid)
        return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise MachineError(f"making a user namespace for a program: {error.strerror}") from error
    finally:
        os.close(ready_read)
        os.close(go_write)
        os.kill(pid, signal.SIGKILL)  # it has nothing more to do, and may be stopped
        os.waitpid(pid, 0)


def _map_ids(pid: int) -> None:
    many = full()
    text = f"0 {FIRST_ID} {IDS}" if many else "0 0 1"
    if not many:
        _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/uid_map", text)
    _write(f"/proc/{pid}/gid_map", text)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
