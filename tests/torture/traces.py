"""What a lab can leave behind, by looking at everything that could hold a piece of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from support.witness import is_forgotten


def processes(state: Path) -> dict[int, int]:
    """PID → inode of its PID namespace, of all processes whose environment names this state directory."""
    word = f"NETLAB_STATE={state}".encode()
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if word in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                found[int(name)] = os.stat(f"/proc/{name}/ns/pid").st_ino
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def of_lab(state: Path) -> list[int]:
    """The processes of the labs of this state directory: all that live in their supervisors' namespaces."""
    own = os.stat("/proc/self/ns/pid").st_ino
    inodes = {inode for inode in processes(state).values() if inode != own}
    return in_namespaces(inodes)


def in_namespaces(inodes: set[int]) -> list[int]:
    """All processes of these PID namespaces."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}/ns/pid").st_ino in inodes and not is_forgotten(name):
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


#: Inode → descriptor. The kernel gives the number of a namespace that is gone to the next one, which may be
#: of a lab that somebody else has on this machine; a descriptor keeps the number.
_HELD: dict[int, int] = {}


def namespaces_of(state: Path) -> set[int]:
    """The PID namespaces of the labs of this state directory, whose numbers stay theirs until the end."""
    own = os.stat("/proc/self/ns/pid").st_ino
    found = set()
    for pid, inode in processes(state).items():
        if inode == own:
            continue
        if inode not in _HELD:
            try:
                fd = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            inode = os.fstat(fd).st_ino
            if _HELD.setdefault(inode, fd) != fd:
                os.close(fd)
        found.add(inode)
    return found - {own}


def names(state: Path) -> Iterator[str]:
    """Everything on this machine that names the state directory: files, mounts, sockets, ip netns names."""
    word = str(state)
    for folder, folders, files in os.walk(state):
        yield from (f"{folder}/{name}" for name in (*folders, *files))
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if word in line:
            yield f"mount {line}"
    for line in Path("/proc/net/unix").read_text().splitlines():
        if word in line:
            yield f"socket {line}"
    if os.path.isdir("/run/netns"):
        for name in os.listdir("/run/netns"):
            path = f"/run/netns/{name}"
            if os.path.islink(path) and word in os.readlink(path):
                yield path
