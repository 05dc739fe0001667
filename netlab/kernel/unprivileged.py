"""A process gives up its rights for good: users, capabilities, the network, and most of the kernel."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from netlab.kernel import libc
from netlab.kernel.sandbox import seccomp
from netlab.model.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The user that owns nothing (Debian's nobody and nogroup; user_namespaces(7) calls it the overflow ID)
NOBODY: Final = 65534
_CLEAR_AMBIENT: Final = 4  # PR_CAP_AMBIENT_CLEAR_ALL, include/uapi/linux/prctl.h


def end_with_parent() -> None:
    """The kernel ends this process with its parent (the thread that forked it), however that ends.

    A change of the user resets it.
    """
    _make(_ending_with_parent())


def _ending_with_parent() -> libc.Step:
    return libc.step_prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL, doing="ending with the parent")


def give_up() -> None:
    """Give up all rights, and end with the parent process.

    Root becomes :data:`NOBODY`, without groups. The process has no capability and can gain none; it is in a
    network namespace of its own, which has no link, so only sockets that it holds already reach anything. It
    can start no other process, write no file, and make none of the system calls that no container may make.
    Raises MachineError if something of this is impossible here.
    """
    for step in _steps(root=os.geteuid() == 0):
        _make(step)


def _make(step: libc.Step) -> None:
    function, arguments, doing = step
    try:
        if function(*arguments) == -1:
            raise OSError(libc.last_error(), os.strerror(libc.last_error()))
    except OSError as error:
        raise MachineError(f"giving up rights: {doing}: {error.strerror}") from error


def _steps(*, root: bool) -> Iterator[libc.Step]:
    """In the order in which each is still allowed."""
    namespaces = libc.CLONE_NEWNET if root else libc.CLONE_NEWUSER | libc.CLONE_NEWNET
    yield libc.step("unshare", namespaces, doing="leaving the network")
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text("ascii"))
    for number in range(last + 1):
        yield libc.step_prctl(libc.PR_CAPBSET_DROP, number, doing="dropping a capability")
    if root:
        yield os.setgroups, ([],), "leaving all groups"
        yield os.setresgid, (NOBODY, NOBODY, NOBODY), f"becoming group {NOBODY}"
        yield os.setresuid, (NOBODY, NOBODY, NOBODY), f"becoming user {NOBODY}"
    yield libc.step_prctl(libc.PR_CAP_AMBIENT, _CLEAR_AMBIENT, doing="dropping ambient capabilities")
    yield libc.step_capset(0)
    yield libc.step_prctl(libc.PR_SET_NO_NEW_PRIVS, 1, doing="refusing new privileges")
    # A change of the user resets it, so it comes after that.
    yield _ending_with_parent()
    for limit in (resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        yield resource.setrlimit, (limit, (0, 0)), "setting a limit"
    yield from seccomp.steps()
