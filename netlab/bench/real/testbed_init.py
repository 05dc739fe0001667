"""PID 1 of a testbed: a private root, /proc, /sys and /run, then nothing but waiting for the owner's end.

Run as a program, in new mount, PID, network, UTS and IPC namespaces::

    unshare --mount --pid --net --uts --ipc --fork python3 -I testbed_init.py LOWER

``LOWER`` is the root file system whose programs are used (``/``, or a chroot of another suite). It is the
lower layer of an overlay whose upper layer is a tmpfs, so nothing that runs here can write a file outside.
The program prints its PID as its parent's /proc shows it, then ``ready``, and ends when its standard input
does. With it ends every process, mount and network namespace of the testbed, whatever way its owner died.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

# include/uapi/linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 4096, 16384, 1 << 18, 1 << 19
MNT_DETACH = 2
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]

libc = ctypes.CDLL(None, use_errno=True)


def call(what: str, result: int) -> None:
    """Raise OSError, naming ``what``, if a libc call failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """Mount something: the system call of that name."""

    def text(value: str | None) -> bytes | None:
        return None if value is None else value.encode()

    call(f"mount {target}", libc.mount(text(source), text(target), text(kind), flags, text(data)))


def build_root(lower: str) -> str:
    """An overlay over ``lower`` with everything in it that a daemon needs; returns its path."""
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    mount("testbed", "/tmp", "tmpfs", data="mode=755")
    for name in ("upper", "work", "root"):
        Path("/tmp", name).mkdir()
    root = "/tmp/root"
    mount("testbed", root, "overlay", data=f"lowerdir={lower},upperdir=/tmp/upper,workdir=/tmp/work")
    mount("proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    # A daemon may write its own namespace's network settings, and no machine-wide one.
    mount(f"{root}/proc/sys", f"{root}/proc/sys", flags=MS_BIND)
    mount(f"{root}/proc/sys/net", f"{root}/proc/sys/net", flags=MS_BIND)
    mount("none", f"{root}/proc/sys", flags=MS_REMOUNT | MS_BIND | MS_RDONLY)
    mount("/dev", f"{root}/dev", flags=MS_BIND | MS_REC)
    mount("sysfs", f"{root}/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("/sys/fs/cgroup", f"{root}/sys/fs/cgroup", flags=MS_BIND | MS_REC)
    for name in ("run", "tmp"):
        mount(name, f"{root}/{name}", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    for name in ("lock", "state", "state/data"):
        Path(root, "run", name).mkdir()
    # The machine's kernel gets no module on a daemon's request.
    for path in ("usr/sbin/modprobe", "sbin/modprobe"):
        modprobe = Path(root, path)
        if modprobe.parent.exists():
            modprobe.unlink(missing_ok=True)
            modprobe.symlink_to("/bin/false")
    # A host that knows no resolver, so that containers get the daemon's own default.
    # (A link into /run, as often as not.)
    resolv = Path(root, "etc/resolv.conf")
    if resolv.is_symlink() or resolv.exists():
        resolv.unlink()
    resolv.write_text("")
    return root


def enter(root: str) -> None:
    """Make ``root`` the root of this mount namespace, and let go of the machine's."""
    os.chdir(root)
    call("pivot_root", libc.syscall(SYS_PIVOT_ROOT, b".", b"."))
    call("umount", libc.umount2(b".", MNT_DETACH))
    os.chdir("/")


def main() -> None:
    """Build, say so, wait."""
    outer = Path("/proc/self").readlink()
    enter(build_root(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans are reaped by the kernel
    sys.stdout.write(f"{outer}\nready\n")
    sys.stdout.flush()
    while os.read(0, 4096):
        pass


if __name__ == "__main__":
    main()
