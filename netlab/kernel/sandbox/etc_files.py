"""hosts, resolv.conf and hostname of one sandboxed program, which netlab can change while it runs.

They are on a separate file system, of which the program sees only the files, mounted read-only over those in
/etc. So it can neither change, move or replace them, nor put a link or a pipe in their place. netlab writes
to the descriptors with which it created the files, and opens no path for that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from netlab.kernel import libc

#: Where the child has the file system while it mounts the files: a directory that every Linux has
_STAGE = "/tmp"  # noqa: S108
_READ_ONLY = libc.MS_REMOUNT | libc.MS_BIND | libc.MS_RDONLY | libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC


class EtcFiles:
    """The files of one program. What is empty is not made: the program sees the machine's file there."""

    def __init__(self, contents: Mapping[str, str]) -> None:
        """Make the files. ``contents``: by name (``hosts``); raises OSError, on Linux before 5.2 for one."""
        given = {name: content for name, content in contents.items() if content}
        self._root = libc.new_mount("tmpfs") if given else -1
        self._files: dict[str, int] = {}
        try:
            for name in given:
                flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
                self._files[name] = os.open(name, flags, 0o600, dir_fd=self._root)
                os.fchmod(self._files[name], 0o644)  # regardless of the umask
            self.write(given)
        except BaseException:
            self.close()
            raise

    def write(self, contents: Mapping[str, str]) -> None:
        """Change the files in place, as Docker does; raises OSError. A file that was not made stays away."""
        for name, content in contents.items():
            fd = self._files.get(name)
            if fd is not None:
                data = content.encode()
                os.pwrite(fd, data, 0)  # a reader sees no empty file in between
                os.ftruncate(fd, len(data))

    def steps(self) -> Iterator[libc.Step]:
        """What the program's own child does, in its mount namespace, before it becomes the program."""
        if not self._files:
            return
        targets = {name: os.path.realpath(f"/etc/{name}") for name in self._files}
        for target in targets.values():
            if target.startswith("/run/"):  # as with systemd-resolved: a link into an empty directory
                yield os.makedirs, (target.rpartition("/")[0], 0o755, True), f"making the folder of {target}"
                yield _touch, (target,), f"making {target}"
        yield libc.step_move_mount(self._root, _STAGE)
        for name, target in targets.items():
            yield libc.step_mount(f"{_STAGE}/{name}", target, "", libc.MS_BIND)
            yield libc.step_mount("none", target, "", _READ_ONLY)
        yield libc.step("umount2", os.fsencode(_STAGE), libc.MNT_DETACH, doing=f"unmounting {_STAGE}")

    def mounted(self) -> None:
        """The child has made its steps: only the files are needed from now on."""
        if self._root >= 0:
            os.close(self._root)
            self._root = -1

    def close(self) -> None:
        """Let go of the files; the program keeps them."""
        self.mounted()
        while self._files:
            os.close(self._files.popitem()[1])


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
