"""Open the folders of netlab's state, which no other user may have created or be able to change.

In /tmp, anybody may create the folder that netlab looks for, put a link in its place, or plant a socket that
receives a caller's descriptors. So every command opens it here, as a descriptor, and everything in it
relative to that. Links are followed only if they belong to root or the caller; the folder itself is never a
link.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from netlab.model.errors import MachineError

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SEARCH = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: As many links as the kernel follows (path_resolution(7)).
_MOST_LINKS = 40


def open_root(path: str, *, make: bool = False, owner: int | None = None) -> int:
    """A descriptor of the folder that holds all labs; with ``make`` it is made if it is missing.

    ``owner`` (default: the caller) is the user to whom it must belong. Raises FileNotFoundError, and
    MachineError if others may have made it, or may change it or a folder above it.
    """
    uid = os.geteuid() if owner is None else owner
    parent, name = _open_parent(path, uid, make)
    try:
        if make:
            with suppress(FileExistsError):
                os.mkdir(name, 0o755 if uid == 0 else 0o700, dir_fd=parent)
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        raise
    except OSError as error:
        if _is_link(parent, name):
            raise _machine(f"netlab's folder {path} is a link, which is not followed") from error
        raise _refused(path, error) from error
    finally:
        os.close(parent)
    found = os.fstat(fd)
    if found.st_uid != uid or found.st_mode & 0o022:
        os.close(fd)
        raise _machine(f"netlab's folder {path} belongs to another user, or others may write to it")
    return fd


def open_lab(root: int, name: str) -> int:
    """A descriptor of the folder of a lab below ``root``; raises FileNotFoundError, NotADirectoryError.

    A link, or another user's folder, raises NotADirectoryError, too.
    """
    if not is_name(name):
        raise FileNotFoundError(name)
    try:
        fd = os.open(name, _DIRECTORY, dir_fd=root)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:  # ELOOP: a link; EACCES: another user's
        raise NotADirectoryError(error.errno, error.strerror, name) from error
    found = os.fstat(fd)
    if found.st_uid != os.geteuid() or found.st_mode & 0o022:
        os.close(fd)
        raise NotADirectoryError(name)
    return fd


def is_name(name: str) -> bool:
    """Whether this can be the name of a lab's folder."""
    return bool(name) and not name.startswith(".") and "/" not in name and "\0" not in name


def read_file(folder: int, name: str) -> bytes:
    """Read a regular file in ``folder`` that belongs to the caller; otherwise, raises FileNotFoundError."""
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        fd = os.open(name, flags, dir_fd=folder)
    except OSError as error:
        raise FileNotFoundError(error.errno, error.strerror, name) from error
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise FileNotFoundError(name)
        return file.read()


def _open_parent(path: str, uid: int, make: bool) -> tuple[int, str]:
    """Open the folder above ``path``, which only root and ``uid`` can replace; returns it and the last
    name.
    """
    *names, last = [name for name in path.split("/") if name] or ["."]
    names.reverse()
    links = 0
    fd = os.open("/", _SEARCH)
    trusted = {0, uid, os.fstat(fd).st_uid}  # in a user namespace root may have another number
    try:
        while names:
            _check_parent(fd, path, trusted, uid)
            name = names.pop()
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                if not make:
                    raise
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755 if uid == 0 else 0o700, dir_fd=fd)
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if found.st_uid not in trusted:
                raise _machine(f"cannot use {path}: {name} in it belongs to another user")
            if stat.S_ISLNK(found.st_mode):
                links += 1
                target = os.readlink(name, dir_fd=fd)
                if links > _MOST_LINKS:
                    raise _machine(f"cannot use {path}: too many links")
                names += [part for part in reversed(target.split("/")) if part]
                name = "/" if target.startswith("/") else "."
            below = os.open(name, _SEARCH, dir_fd=fd)
            os.close(fd)
            fd = below
        _check_parent(fd, path, trusted, uid)
    except FileNotFoundError:
        os.close(fd)
        raise
    except OSError as error:
        os.close(fd)
        raise _refused(path, error) from error
    except BaseException:
        os.close(fd)
        raise
    return fd, last


def _is_link(parent: int, name: str) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _check_parent(fd: int, path: str, trusted: set[int], uid: int) -> None:
    """Raise MachineError if users other than root and ``uid`` can replace entries of a folder."""
    found = os.fstat(fd)
    if found.st_uid in trusted:
        if found.st_mode & stat.S_ISVTX:
            return  # /tmp: nobody can replace another user's entries, and their owners are checked
        private_group = found.st_gid == 0 or (found.st_gid == uid == os.getegid())
        if not found.st_mode & stat.S_IWOTH and (not found.st_mode & stat.S_IWGRP or private_group):
            return
    where = os.readlink(f"/proc/self/fd/{fd}")
    raise _machine(f"cannot use {path}: other users may write to {where}")


def _refused(path: str, error: OSError) -> Exception:
    return _machine(f"cannot open netlab's directory {path}: {error.strerror}")


def _machine(text: str) -> Exception:
    return MachineError(text)
