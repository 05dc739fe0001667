"""System calls that Python 3.11 lacks, as functions that raise :class:`OSError`.

ctypes costs some 3 ms to import, so it is loaded at the first call that needs it; ``unshare`` and ``setns``
need it only before Python 3.12.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

# include/uapi/linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

# include/uapi/linux/mount.h
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 2
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

# include/uapi/linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2

# The numbers of calls that came after the unification of system call tables (Linux 5.1) are the same on
# every architecture but alpha; pivot_root and capset differ and are found in libc.
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_CLOSE_RANGE = 436
_SYS_MOUNT_SETATTR = 442
_CLOSE_RANGE_CLOEXEC = 4
_FSCONFIG_CMD_CREATE = 6

#: a function, its arguments, what is being done
Step = tuple[Callable[..., Any], tuple[Any, ...], str]

_CAP_VERSION_3 = 0x20080522


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object, doing: str) -> int:
    """Call ``name`` of libc; raises OSError with what was being done."""
    result: int = getattr(_libc(), name)(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{doing}: {os.strerror(number)}")
    return result


def last_error() -> int:
    """The errno of the last failed call of this thread."""
    return ctypes.get_errno()


def _syscall(number: int, *arguments: object, doing: str) -> int:
    longs = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _call("syscall", ctypes.c_long(number), *longs, doing=doing)


def unshare(flags: int, doing: str = "making new namespaces") -> None:
    """``unshare(2)`` for the calling thread; raises OSError."""
    if hasattr(os, "unshare"):
        try:
            os.unshare(flags)
        except OSError as error:
            raise OSError(error.errno, f"{doing}: {os.strerror(error.errno or 0)}") from None
        return
    _call("unshare", flags, doing=doing)


def setns(fd: int, kind: int = 0, doing: str = "entering a namespace") -> None:
    """``setns(2)`` for the calling thread; ``kind`` is a CLONE_NEW* flag or 0; raises OSError."""
    if hasattr(os, "setns"):
        try:
            os.setns(fd, kind)
        except OSError as error:
            raise OSError(error.errno, f"{doing}: {os.strerror(error.errno or 0)}") from None
        return
    _call("setns", fd, kind, doing=doing)


def sethostname(name: str) -> None:
    """``sethostname(2)``; raises OSError."""
    encoded = os.fsencode(name)
    _call("sethostname", encoded, len(encoded), doing=f"setting the host name {name}")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """``mount(2)``; raises OSError."""
    _call(
        "mount",
        os.fsencode(source),
        os.fsencode(target),
        os.fsencode(kind) if kind else None,
        ctypes.c_ulong(flags),
        os.fsencode(data) if data else None,
        doing=f"mounting {kind or source} on {target}",
    )


def umount(target: str, flags: int = MNT_DETACH) -> None:
    """``umount2(2)``; raises OSError."""
    _call("umount2", os.fsencode(target), flags, doing=f"unmounting {target}")


def pivot_root(new: str, old: str) -> None:
    """``pivot_root(2)``; raises OSError."""
    _call("pivot_root", os.fsencode(new), os.fsencode(old), doing=f"making {new} the root")


def open_tree(path: str, *, recursive: bool = False, directory: int = AT_FDCWD) -> int:
    """A detached copy of the mount at ``path`` (with the mounts below if ``recursive``), as an fd."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    return _syscall(_SYS_OPEN_TREE, directory, os.fsencode(path), flags, doing=f"copying the mount {path}")


def mount_setattr(fd: int, attributes: int, *, clear: int = 0, recursive: bool = False) -> None:
    """Set MOUNT_ATTR_* on the (detached) mount of ``fd``; raises OSError."""
    block = (ctypes.c_uint64 * 4)(attributes, clear, 0, 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _syscall(
        _SYS_MOUNT_SETATTR, fd, b"", flags, ctypes.byref(block), ctypes.sizeof(block),
        doing="setting a mount's attributes",
    )  # fmt: skip


def move_mount(fd: int, target: str) -> None:
    """Attach the detached mount of ``fd`` at ``target``; raises OSError."""
    _syscall(
        _SYS_MOVE_MOUNT, fd, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH,
        doing=f"attaching a mount at {target}",
    )  # fmt: skip


def new_mount(kind: str) -> int:
    """A new instance of a file system, mounted nowhere, as the descriptor of its root; raises OSError."""
    doing = f"making an instance of {kind}"
    context = _syscall(_SYS_FSOPEN, os.fsencode(kind), 1, doing=doing)
    try:
        _syscall(_SYS_FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0, doing=doing)
        return _syscall(_SYS_FSMOUNT, context, 1, 0, doing=doing)
    finally:
        os.close(context)


# A step is a deferred call: prepared before a fork, made after it. A result of -1 means last_error().


def step(name: str, *arguments: object, doing: str) -> Step:
    """A call of a function of libc."""
    return getattr(_libc(), name), arguments, doing


def step_mount(source: str, target: str, kind: str, flags: int, data: str = "") -> Step:
    """A later :func:`mount`."""
    texts = [os.fsencode(text) if text else None for text in (source, target, kind, data)]
    doing = f"mounting {kind or source} on {target}"
    return step("mount", *texts[:3], ctypes.c_ulong(flags), texts[3], doing=doing)


def step_move_mount(fd: int, target: str) -> Step:
    """A later :func:`move_mount`."""
    numbers = [ctypes.c_long(n) for n in (_SYS_MOVE_MOUNT, fd)]
    flags = ctypes.c_long(MOVE_MOUNT_F_EMPTY_PATH)
    where = (b"", ctypes.c_long(AT_FDCWD), os.fsencode(target), flags)
    return step("syscall", *numbers, *where, doing=f"attaching a mount at {target}")


def step_prctl(option: int, argument: int = 0, second: int = 0, *, doing: str) -> Step:
    """A later ``prctl(2)``."""
    arguments = [ctypes.c_ulong(value) for value in (argument, second, 0, 0)]
    return step("prctl", option, *arguments, doing=doing)


def step_close_on_exec(first: int) -> Step:
    """Marking every descriptor from ``first`` on as closed when a program starts."""
    numbers = [ctypes.c_long(n) for n in (_SYS_CLOSE_RANGE, first, 0xFFFFFFFF, _CLOSE_RANGE_CLOEXEC)]
    return step("syscall", *numbers, doing="marking descriptors as private")


def steps_default_signals(numbers: Iterable[int]) -> Iterator[Step]:
    """Letting signals do what they do by default, and unblocking all.

    Not with Python's own functions: their enumerations touch some seventy pages, each of which is copied.
    """
    for number in numbers:
        yield step("signal", int(number), None, doing="resetting a signal")
    none = ctypes.create_string_buffer(128)  # sigset_t
    yield step("sigprocmask", int(signal.SIG_SETMASK), none, None, doing="unblocking signals")


def step_capset(mask: int, inheritable: int = 0) -> Step:
    """Making ``mask`` (bit = capability number) the effective and permitted set."""
    low, high = 0xFFFFFFFF, 32
    header = (ctypes.c_uint32 * 2)(_CAP_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(
        mask & low, mask & low, inheritable & low, mask >> high, mask >> high, inheritable >> high
    )
    return step("capset", header, data, doing="setting capabilities")
