"""Who is at the other end of a control connection.

A connection carries descriptors, an environment and control over a lab, so both ends check who the other is,
whatever the file system's permissions are.
"""

from __future__ import annotations

import os
import socket
import struct

from netlab.model.errors import LabError

_UCRED = struct.Struct("=iII")


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """PID and user of the process at the other end (unix(7), SO_PEERCRED).

    The kernel gives them as they are in this process's namespaces: the PID is 0 if it has none there, the
    user is the overflow user if it has none there. A user's supervisor is root in a user namespace of its
    own; for the user it is the user, and for the supervisor the user is root.
    """
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return pid, uid


def is_the_same_user(sock: socket.socket) -> bool:
    """Whether the process at the other end belongs to the user of this one."""
    return peer_of(sock)[1] == os.geteuid()


def refuse_others(sock: socket.socket) -> None:
    """Raises LabError if the process at the other end belongs to another user."""
    if not is_the_same_user(sock):
        raise LabError(
            f"the supervisor belongs to another user (uid {peer_of(sock)[1]}): nothing was sent to it"
        )


def accept(listener: socket.socket) -> socket.socket | None:
    """The next connection from this process's user; None if there is none. Those of others are closed."""
    try:
        sock, _ = listener.accept()
    except OSError:  # gone, or no descriptor left: it may try again
        return None
    if is_the_same_user(sock):
        return sock
    sock.close()
    return None


#: include/uapi/asm-generic/socket.h, since Linux 6.5
_SO_PEERPIDFD = 77


def pidfd_of_peer(sock: socket.socket) -> int | None:
    """A pidfd of the process at the other end; raises ProcessLookupError if it is gone.

    None if the kernel gives only its PID, and the PID belongs to another PID namespace.
    """
    try:
        return sock.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except ProcessLookupError:
        raise
    except OSError:
        pid = peer_of(sock)[0]
    return os.pidfd_open(pid) if pid else None
