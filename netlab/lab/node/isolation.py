"""Give the supervisor its own namespaces and mounts, and the limits that it needs."""

from __future__ import annotations

import errno
import os
import resource

from netlab.kernel import libc
from netlab.model.errors import MachineError

#: Descriptors that every lab may use: four a container.
NOFILE = 1 << 20


def own_namespaces() -> None:
    """Leave the caller's namespaces: all but the user namespace; without privileges, that one, too.

    The next child is the first process of the new PID namespace. Raises MachineError with a remedy. The
    caller ends up in an empty network namespace, which stays unused: later errors cannot affect the one in
    which netlab was started.
    """
    flags = libc.CLONE_NEWNS | libc.CLONE_NEWPID | libc.CLONE_NEWNET | libc.CLONE_NEWUTS | libc.CLONE_NEWIPC
    try:
        if os.geteuid() == 0:
            try:
                libc.unshare(flags)
            except PermissionError:  # root in name only, as in a plain container
                _unshare_user(flags)
        else:
            _unshare_user(flags)
        libc.mount("none", "/", "", libc.MS_REC | libc.MS_SLAVE)
    except OSError as error:
        if error.errno == errno.ENOSPC:  # inc_ucount, kernel/ucount.c
            raise MachineError(
                "cannot make namespaces for the lab: a limit of them is reached "
                "(raise it: sysctl user.max_{net,mnt,pid,uts,ipc,user}_namespaces)"
            ) from error
        raise MachineError(
            f"cannot make namespaces for the lab: {error.strerror}; "
            "run netlab with sudo, or allow user namespaces (`netlab doctor` says how)"
        ) from error


def raise_limits() -> None:
    """Let the process and all its children have as many descriptors as they may."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if os.geteuid() == 0 and hard < NOFILE:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (NOFILE, NOFILE))
        except (ValueError, PermissionError):
            pass  # a container without CAP_SYS_RESOURCE: what it has must do
        else:
            return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _unshare_user(flags: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    libc.unshare(libc.CLONE_NEWUSER | flags)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def same_namespace(fd: int, kind: str) -> bool:
    """Whether the calling thread is in the namespace of ``fd`` (``kind`` as in /proc/self/ns)."""
    return os.path.samestat(os.fstat(fd), os.stat(f"/proc/thread-self/ns/{kind}"))
