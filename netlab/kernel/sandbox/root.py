"""A read-only view of the machine, built once and copied for each sandboxed program.

It is a mount namespace without processes: the machine's mounts, all read-only, without set-uid programs and
devices; /dev with six harmless nodes; and empty directories for /run, /tmp, /home, /root, /proc, /sys and the
user's home, over which each program gets its own.
"""

# Plain system calls on paths of a tree that is being built:
# ruff: noqa: PTH102, PTH110, PTH112, PTH115, PTH123, PTH211, S108

from __future__ import annotations

import errno
import os
import signal
import stat
from collections.abc import Callable, Iterator

from netlab.kernel import libc, process, userns
from netlab.model.errors import MachineError

#: Directories of the machine that programs do not see
HIDDEN = ("/run", "/tmp", "/var/tmp", "/home", "/root", "/proc", "/sys", "/dev")

#: Directories without which no program runs: the home of a system's user is often one of them
_SYSTEM = ("/usr", "/etc", "/bin", "/sbin", "/lib")

#: Where the new root is built: a directory that every Linux has
_STAGE = "/tmp"

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_READ_ONLY = libc.MOUNT_ATTR_RDONLY | libc.MOUNT_ATTR_NOSUID | libc.MOUNT_ATTR_NODEV

#: What a bind mount can be put on: these must exist, since the root is read-only
ETC = ("hosts", "resolv.conf", "hostname")


def create() -> int:
    """Create the view; returns a descriptor of its mount namespace. For a single-threaded process.

    Raises MachineError if the kernel forbids it, or is older than Linux 5.12.
    """
    pid, ready, release = _spawn(_build)
    try:
        words = process.first_words(ready, pid)
        if words != b"ok":
            said = "it takes too long" if words is None else words.decode(errors="replace")
            raise MachineError(f"preparing the sandbox for programs: {said}")
        return os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(release)
        os.close(ready)
        os.kill(pid, signal.SIGKILL)  # it has nothing more to do, and may be stopped
        os.waitpid(pid, 0)


def _spawn(work: Callable[[], None]) -> tuple[int, int, int]:
    """Run ``work`` in a child that then waits until its second pipe is closed."""
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    hold_read, hold_write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid:
        os.close(ready_write)
        os.close(hold_read)
        return pid, ready_read, hold_write
    try:
        os.close(hold_write)
        try:
            work()
            os.write(ready_write, b"ok")
        except OSError as error:
            os.write(ready_write, (error.strerror or str(error)).encode()[:4096])
        os.read(hold_read, 1)
    finally:
        os._exit(0)


def _build() -> None:
    libc.unshare(libc.CLONE_NEWNS, "making a mount namespace")
    libc.mount("none", "/", "", libc.MS_REC | libc.MS_PRIVATE)
    tree = libc.open_tree("/", recursive=True)
    devices = _device_mounts()
    missing = [name for name in ETC if not os.path.exists(f"/etc/{name}")]
    libc.mount_setattr(tree, _READ_ONLY, recursive=True)
    libc.move_mount(tree, _STAGE)
    for place in _mounts_below(_STAGE):
        try:
            libc.umount(place)
        except OSError as error:
            if error.errno != errno.EINVAL:  # locked by an outer user namespace: it is hidden below
                raise
    if home := _home_elsewhere():
        flags = libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC
        libc.mount("tmpfs", f"{_STAGE}{home}", "tmpfs", flags, "mode=755")
    _make_dev(f"{_STAGE}/dev", devices)
    if missing:
        _make_etc(f"{_STAGE}/etc", missing)
    os.chdir(_STAGE)
    libc.pivot_root(".", ".")
    libc.umount(".")
    os.chdir("/")


def _mounts_below(stage: str) -> Iterator[str]:
    """The topmost mounts of the new root at or below a hidden directory."""
    hidden = tuple(stage + directory for directory in HIDDEN)
    if not userns.full():  # there, a new proc or sysfs may be mounted only if an existing one is visible
        hidden = tuple(place for place in hidden if place not in (f"{stage}/proc", f"{stage}/sys"))
    found: list[str] = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            place = _unescaped(line.split(" ")[4])
            if any(place == one or place.startswith(one + "/") for one in hidden):
                found.append(place)
    seen: set[str] = set()
    for place in sorted(found):
        if not any(place.startswith(one + "/") for one in seen):
            seen.add(place)
            yield place


def _home_elsewhere() -> str | None:
    """The caller's home, if it is not hidden by its place: without root, programs are the caller to files."""
    home = os.path.realpath(os.environ.get("HOME") or "/")
    for place in (*HIDDEN, *_SYSTEM):
        if f"{home}/".startswith(f"{place}/") or f"{place}/".startswith(f"{home.rstrip('/')}/"):
            return None
    return home if os.path.isdir(home) else None


def _unescaped(path: str) -> str:
    """A path of mountinfo, which has blanks and backslashes as three octal digits."""
    for code in ("040", "011", "012", "134"):
        path = path.replace(f"\\{code}", chr(int(code, 8)))
    return path


def _device_mounts() -> dict[str, int]:
    """The machine's device nodes as detached mounts, for user namespaces, which cannot create nodes."""
    if userns.initial():
        return {}
    return {name: libc.open_tree(f"/dev/{name}") for name in _DEVICES if os.path.exists(f"/dev/{name}")}


def _make_dev(place: str, devices: dict[str, int]) -> None:
    """A small /dev: new nodes or the machine's, the usual links, and directories for pts and shm."""
    libc.mount("tmpfs", place, "tmpfs", libc.MS_NOSUID | libc.MS_NOEXEC, "mode=0755,size=64k")
    mask = os.umask(0)
    try:
        for name, (major, minor) in _DEVICES.items():
            path = f"{place}/{name}"
            if name in devices:
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o666))
                libc.move_mount(devices[name], path)
            elif not devices:
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        for name, target in _LINKS.items():
            os.symlink(target, f"{place}/{name}")
        for name in ("pts", "shm", "net"):
            os.mkdir(f"{place}/{name}", 0o755)
    finally:
        os.umask(mask)
    # for files; devices are still writable
    flags = libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NOEXEC
    libc.mount("none", place, "", flags)


def _make_etc(place: str, missing: list[str]) -> None:
    """An /etc that shows the machine's, entry by entry, and has the ``missing`` files, empty."""
    entries = sorted(os.scandir(place), key=lambda entry: entry.name)
    trees = [
        (entry.name, entry.is_dir(follow_symlinks=False), libc.open_tree(entry.path))
        for entry in entries
        if not entry.is_symlink()
    ]
    links = [(entry.name, os.readlink(entry.path)) for entry in entries if entry.is_symlink()]
    libc.mount("tmpfs", place, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, "mode=0755,size=1m")
    for name, target in links:
        if name not in missing:  # a dangling link would lead the bind mount astray
            os.symlink(target, f"{place}/{name}")
    for name, is_directory, tree in trees:
        if is_directory:
            os.mkdir(f"{place}/{name}")
        else:
            os.close(os.open(f"{place}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        libc.move_mount(tree, f"{place}/{name}")
        os.close(tree)
    for name in missing:
        os.close(os.open(f"{place}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
