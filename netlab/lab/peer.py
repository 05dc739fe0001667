"""Who is at the other end of a control connection.

A connection hands over descriptors, an environment and control over a lab, so both ends look who the other
is, whatever the file system says.
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
    """The next connection of the user of this process; None if there is none; another's is closed."""
    try:
        sock, _ = listener.accept()
    except OSError:  # gone again, or no descriptor left: it may try once more
        return None
    if is_the_same_user(sock):
        return sock
    sock.close()
    return None
