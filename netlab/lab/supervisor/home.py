"""What a supervisor sets up before it builds: the lab's log, its own mounts, the control socket."""

from __future__ import annotations

import os
import socket

from netlab.kernel import libc
from netlab.model.errors import MachineError


def open_log(path: str) -> None:
    """Make the log in the lab's directory this process's stderr."""
    fd = os.open(f"{path}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(fd, 2)
    os.close(fd)


def own_mounts(private: str) -> None:
    """Mount the lab's private tmpfs and its /proc; raises OSError, MachineError."""
    os.makedirs(private, mode=0o700, exist_ok=True)
    libc.mount("netlab", private, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=0755")
    os.mkdir(f"{private}/netns")
    try:
        libc.mount("proc", "/proc", "proc", libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC)
    except PermissionError as error:
        raise MachineError(  # mount_too_revealing, fs/namespace.c
            "cannot mount a /proc of the lab's own: this container hides parts of its /proc, so the "
            "kernel refuses another; run it with --security-opt systempaths=unconfined, or netlab outside"
        ) from error


def listen(path: str) -> socket.socket:
    """The control socket in the lab's directory, non-blocking; raises OSError that names it."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:  # a path of any length in the 108 bytes of sun_path
        listener.bind(f"/proc/self/fd/{directory}/control")
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{path}/control") from error
    finally:
        os.close(directory)
    os.chmod(f"{path}/control", 0o600)
    listener.listen(128)
    listener.setblocking(False)
    return listener
