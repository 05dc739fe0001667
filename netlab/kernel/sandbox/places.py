"""Private, empty file systems of a sandboxed program, gone when it ends.

A tool gets the directories that any program may write to. A container's program also gets what packages
expect: the directories in /var/lib, /var/log, /var/cache and /var/spool, each with its owner and mode, but
empty.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from netlab.kernel import libc, userns

#: directory, mode in octal digits
EVERYBODYS = (("/run", 755), ("/tmp", 1777), ("/var/tmp", 1777), ("/home", 755), ("/root", 700))  # noqa: S108
PACKAGES = (("/var/lib", 755), ("/var/log", 755), ("/var/cache", 755), ("/var/spool", 755))

#: At most this many directories are created in one place.
MOST = 512


def mounts(uid: int, *, container: bool) -> Iterator[libc.Step]:
    """Mounting them; they belong to the machine's user ``uid``."""
    quiet = libc.MS_NOSUID | libc.MS_NODEV
    for place, mode in EVERYBODYS + (PACKAGES if container else ()):
        if _is_directory(place):
            yield libc.step_mount("tmpfs", place, "tmpfs", quiet, f"mode={mode},uid={uid},gid={uid},size=64m")


@cache
def directories(*, owners: bool) -> tuple[libc.Step, ...]:
    """Making the directories in them, as the container's root; with ``owners``, which needs CAP_CHOWN.

    As the machine has them at the first call.
    """
    return (
        (os.umask, (0,), "setting the mode for new files"),
        (os.mkdir, ("/run/lock", 0o1777), "making /run/lock"),  # /var/lock leads there
        *_skeleton(owners),
        (os.umask, (0o22,), "setting the mode for new files"),
    )


def _skeleton(owners: bool) -> Iterator[libc.Step]:
    for place, _ in PACKAGES:
        if not _is_directory(place):
            continue
        with os.scandir(place) as found:
            entries = sorted(
                (one for one in found if one.is_dir(follow_symlinks=False)), key=lambda one: one.name
            )
        for entry in entries[:MOST]:
            status = entry.stat(follow_symlinks=False)
            yield os.mkdir, (entry.path, stat.S_IMODE(status.st_mode)), f"making {entry.path}"
            ids = (status.st_uid, status.st_gid)
            if owners and any(ids) and max(ids) < userns.IDS:
                yield os.chown, (entry.path, *ids), f"giving {entry.path} to its owner"


def _is_directory(place: str) -> bool:
    return Path(place).is_dir() and not Path(place).is_symlink()
