"""Labs on disk: where each is recorded, who holds it, and how to remove the remains of a killed one.

::

    ROOT/LAB/            mode 0700, locked (flock) while the lab is brought up or down
        supervisor.lock  held by the supervisor as long as it runs (netlab.lab.lifetime)
        lab.json         the record: supervisor's PID, digest of the plan, files, counts
        plan.json        the plan (netlab.lab.codec)
        history.json     the scenario, and the events since (netlab.plan.change)
        control          the supervisor's socket
        log              the supervisor's messages, if there are any
        private/         mount point of the supervisor's own tmpfs, empty for everybody else
    /run/netns/LAB.NODE  (root only) a symlink to /proc/PID/root/ROOT/LAB/private/netns/NODE

Every command opens ROOT with :mod:`netlab.lab.folder`, and everything in it relative to that.

ROOT is ``$NETLAB_STATE``, else ``/run/netlab`` for root, else ``$XDG_RUNTIME_DIR/netlab``, else
``/tmp/netlab-UID``. Nothing here holds a namespace: these are only names, and stale ones are harmless.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from netlab import json_text
from netlab.lab import folder, lifetime
from netlab.lab.unbroken import unbroken
from netlab.model.errors import LabError, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: The file that says what a lab came from and what happened to it (netlab.lab.codec).
HISTORY = "history.json"

#: Where ``ip netns`` looks names up (iproute2, ``NETNS_RUN_DIR``).
NETNS_DIR = "/run/netns"


def root() -> str:
    """The directory that holds one directory a lab."""
    chosen = os.environ.get("NETLAB_STATE")
    if chosen:
        return os.path.abspath(chosen)
    uid = os.geteuid()
    if uid == 0 and is_machines_root():
        return "/run/netlab"
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{uid}"
    if os.access(runtime, os.W_OK) and os.stat(runtime).st_uid == uid:
        return f"{runtime}/netlab"
    return f"/tmp/netlab-{uid}"  # noqa: S108  netlab.lab.folder checks whose it is


def is_machines_root() -> bool:
    """Whether /run belongs to the caller: root in a user namespace is an ordinary user outside it."""
    return os.stat("/run").st_uid == os.geteuid() and os.access("/run", os.W_OK)


class Record:
    """The contents of one lab's ``lab.json``."""

    __slots__ = ("data", "name", "path")

    def __init__(self, name: str, path: str, data: dict[str, Any]) -> None:
        self.name = name
        self.path = path
        self.data = data

    @property
    def pid(self) -> int:
        """The supervisor's PID, or 0."""
        return int(self.data.get("pid") or 0)

    @property
    def alive(self) -> bool:
        """Whether the lab's supervisor is alive; only its lock tells."""
        try:
            with self.folder() as fd:
                return lifetime.is_held(fd)
        except FileNotFoundError:
            return False

    @contextmanager
    def folder(self) -> Iterator[int]:
        """A descriptor of the lab's folder; raises FileNotFoundError, MachineError."""
        with _opened(folder.open_root(os.path.dirname(self.path))) as above, _lab(above, self.name) as fd:
            yield fd

    @property
    def ready(self) -> bool:
        """Whether the lab came up completely and is still up."""
        return bool(self.data.get("ready")) and self.alive


@contextmanager
def _opened(fd: int) -> Iterator[int]:
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _lab(above: int, name: str) -> Iterator[int]:
    """The folder of a lab; raises FileNotFoundError also if it is a link, or another user's."""
    try:
        fd = folder.open_lab(above, name)
    except NotADirectoryError as error:
        raise FileNotFoundError(error.errno, error.strerror, name) from error
    with _opened(fd):
        yield fd


def _is_lab(fd: int) -> bool:
    """Whether a folder is a lab's; anything else in the state folder belongs to the user and is left
    alone.
    """
    names = os.listdir(fd)
    return "lab.json" in names or lifetime.FILE in names


def read(name: str) -> Record | None:
    """The record of a lab, alive or stale; None if there is nothing of that name. Raises MachineError."""
    base = root()
    try:
        with _opened(folder.open_root(base)) as above, _lab(above, name) as fd:
            return Record(name, f"{base}/{name}", _load(fd)) if _is_lab(fd) else None
    except FileNotFoundError:
        return None


def _load(fd: int) -> dict[str, Any]:
    try:
        data = json_text.loads(folder.read_file(fd, "lab.json"))
    except FileNotFoundError:
        return {}
    except ValueError:  # written with one rename, so only a foreign hand can have done this
        return {}
    return data if isinstance(data, dict) else {}


def write(path: str, data: dict[str, Any]) -> None:
    """Write a lab's record, whole or not at all."""
    put(f"{path}/lab.json", json_text.dumps(data).encode())


def put(path: str, content: bytes) -> None:
    """Write a file completely or not at all; raises OSError with its name, also if the disk is full."""
    Prepared(path, content).commit()


class Prepared:
    """The new content of a file, written beside it; :meth:`commit` replaces the file.

    Everything that needs space happens here and in :meth:`rewrite`, before anything depends on it.
    """

    def __init__(self, path: str, content: bytes, room: int = 0) -> None:
        """Write ``content``, and spaces up to ``room`` bytes; raises OSError that says which disk is full."""
        folder, _, name = path.rpartition("/")
        self._path, self._beside, self._room = path, f"{folder}/.{name}", room
        try:
            with open(self._beside, "wb") as file:
                file.write(content.ljust(room))
        except OSError as error:
            self.drop()
            raise _of_disk(error, path) from error

    def rewrite(self, content: bytes) -> None:
        """Write other content; takes no new space if it fits into the room. Raises OSError."""
        try:
            with open(self._beside, "r+b") as file:
                file.write(content.ljust(self._room))
                file.truncate()
        except OSError as error:
            raise _of_disk(error, self._path) from error

    def commit(self) -> None:
        """Put it in the file's place; raises OSError."""
        try:
            os.rename(self._beside, self._path)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._path) from error

    def drop(self) -> None:
        """It is not wanted any more."""
        try:
            os.unlink(self._beside)
        except FileNotFoundError:
            pass


def _of_disk(error: OSError, path: str) -> OSError:
    """The error with the name of its file and, if there is no space, of the disk."""
    text = error.strerror
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        mount = os.path.dirname(path)
        while not os.path.ismount(mount):
            mount = os.path.dirname(mount)
        text = f"{text} (the file system at {mount} is full)"
    return OSError(error.errno, text, path)


def records() -> list[Record]:
    """Every lab's record, by name, stale ones too; raises MachineError."""
    base = root()
    found = []
    try:
        with _opened(folder.open_root(base)) as above:
            for name in sorted(filter(folder.is_name, os.listdir(above))):
                with suppress(FileNotFoundError), _lab(above, name) as fd:
                    if _is_lab(fd):
                        found.append(Record(name, f"{base}/{name}", _load(fd)))
    except FileNotFoundError:
        pass
    return found


def standing() -> list[Record]:
    """The labs that are up; also clears the remains of killed ones."""
    found = []
    for record in records():
        if record.alive:
            if record.ready:
                found.append(record)
        else:
            sweep(record.name)
    return found


class Lock:
    """The lock for bringing one lab up or down; the lab's directory exists while it is held.

    ``wait=False`` raises BlockingIOError if another process has it. The lock goes with the process.
    ``path`` is the directory, ``fd`` a descriptor of it.
    """

    fd = _above = -1
    _process = 0

    def __init__(self, name: str, *, wait: bool = True) -> None:
        base = root()
        self._process = os.getpid()
        self.name = name
        self.path = f"{base}/{name}"
        self._ours = False  #: whether the directory is a lab's, and may be removed
        self._above = folder.open_root(base, make=True)
        lifetime.keep_from_children(self._above)
        try:
            while True:
                if not self._open():
                    continue
                fcntl.flock(self.fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                if self.holds():
                    self._check()
                    return
                lifetime.let_go(self.fd)
                self.fd = -1
        except Exception:
            self._let_go()
            raise

    @unbroken
    def _open(self) -> bool:
        """Open the lab's directory, which is made if it is missing; False if it goes just then."""
        try:
            os.mkdir(self.name, 0o700, dir_fd=self._above)
            self._ours = True
        except FileExistsError:
            self._ours = False
        try:
            self.fd = folder.open_lab(self._above, self.name)
        except FileNotFoundError:  # removed by a `down`
            return False
        except NotADirectoryError as error:
            raise MachineError(
                f"{self.path} is not a directory of yours that only you may write to"
            ) from error
        lifetime.keep_from_children(self.fd)
        return True

    def _check(self) -> None:
        """Raise MachineError if the directory is somebody's other than a lab's.

        Only who holds the lock may look: before, another process may be writing the lab's first files.
        """
        if _is_lab(self.fd):
            self._ours = True
        elif os.listdir(self.fd):
            raise MachineError(f"{self.path} holds other files than a lab's: use another name")

    def _let_go(self) -> None:
        lifetime.let_go(self.fd)
        lifetime.let_go(self._above)
        self.fd = self._above = -1

    def holds(self) -> bool:
        """Whether this is (still) the lock: a lab that was taken down took its directory along."""
        try:
            found = os.stat(self.name, dir_fd=self._above, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(self.fd))

    @unbroken
    def release(self) -> None:
        """Give the lock up; the directory goes too if there is nothing in it.

        A supervisor that still builds the lab keeps the lock until it has built it, or is gone.
        """
        if self.fd < 0:
            return
        if self.holds() and not lifetime.is_held(self.fd):
            with suppress(OSError):  # no supervisor was ever started
                os.unlink(lifetime.FILE, dir_fd=self.fd)
            if self._ours:
                with suppress(OSError):  # a killed lab's, which the next command clears
                    os.rmdir(self.name, dir_fd=self._above)
        self._let_go()

    def supervisor_lock(self) -> lifetime.SupervisorLock:
        """The lock for a new supervisor, which the caller passes on; raises LabError if one is alive."""
        lock = lifetime.SupervisorLock.take(self.fd)
        if lock is None:
            raise LabError(f"the lab {self.name} has a supervisor already")
        return lock

    def __enter__(self) -> Lock:
        return self

    @unbroken
    def __exit__(self, *_: object) -> None:
        self.release()

    @unbroken
    def __del__(self) -> None:
        """An interrupt came before anything else had this object, and perhaps before it had the lock."""
        if self.fd >= 0 and self._process == os.getpid():
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._let_go()
            else:
                self.release()
        elif self._process == os.getpid():
            self._let_go()


def netns_names() -> list[str]:
    """The names of ``ip netns``, sorted; empty if the caller may not list them, because then none is the
    caller's.

    ``ip netns add`` of a root with umask 077 makes the directory so (iproute2, create_netns_dir).
    """
    try:
        return sorted(os.listdir(NETNS_DIR))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def leftovers(record: Record) -> Iterator[str]:
    """Every path that a dead lab left behind, in the order of removal.

    The names for ``ip netns`` may be of several supervisors, which were killed one after the other.
    """
    private = f"{record.path}/private"
    for name in netns_names():
        path = f"{NETNS_DIR}/{name}"
        if name.startswith(f"{record.name}.") and is_name_of(path, private):
            yield path
    for name in (
        "control",
        "plan.json",
        ".plan.json",
        HISTORY,
        f".{HISTORY}",
        "log",
        ".lab.json",
        "lab.json",
        "private",
        lifetime.FILE,
    ):
        if os.path.lexists(f"{record.path}/{name}"):
            yield f"{record.path}/{name}"
    yield record.path


def is_name_of(link: str, private: str) -> bool:
    """Whether ``link`` is a name for ``ip netns`` that a lab with this private directory has, or had."""
    found = private_of(link)
    return found is not None and (found == private or os.path.realpath(found) == os.path.realpath(private))


def private_of(link: str) -> str | None:
    """The private directory of the lab to which a name for ``ip netns`` belongs; None if it belongs to
    none.
    """
    try:
        target = os.readlink(link)
    except OSError:
        return None  # nothing, or no symlink
    pid, _, path = target.removeprefix("/proc/").partition("/root")
    folder, _, node = path.rpartition("/netns/")
    return folder if pid.isdecimal() and node and folder.endswith("/private") else None


def dead() -> list[Record]:
    """The remains of killed labs, by name, also if only names for ``ip netns`` are left."""
    found = {record.name: record for record in records() if not record.alive}
    base = root()
    for name in netns_names():
        lab, link = name.partition(".")[0], f"{NETNS_DIR}/{name}"
        path = f"{base}/{lab}"
        nameless = lab not in found and is_name_of(link, f"{path}/private")
        if nameless and not os.path.isdir(path) and not os.path.exists(link):
            found[lab] = Record(lab, path, {})
    return [found[name] for name in sorted(found)]


def remove(record: Record) -> None:
    """Remove what a lab left. The caller holds its supervisor's lock."""
    _remove(leftovers(record))


def _remove(paths: Iterable[str]) -> None:
    for path in paths:
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                os.rmdir(path)
            else:
                os.unlink(path)
        except FileNotFoundError:
            continue


@unbroken
def clear(lock: Lock) -> list[str] | None:
    """Remove the remains of a killed lab; returns the paths, or None if its supervisor is alive.

    The lab's folder is removed when ``lock`` is released, unless a new lab was built in it or it is already
    gone.
    """
    if not lock.holds():
        return []
    record = Record(lock.name, lock.path, _load(lock.fd))
    paths = list(leftovers(record))
    proof = lifetime.SupervisorLock.take(lock.fd)
    if proof is None:
        return None
    try:
        _remove(path for path in paths if path not in (lock.path, f"{lock.path}/{lifetime.FILE}"))
    finally:
        proof.close()
    return paths


def sweep(name: str) -> list[str]:
    """Clear the remains of a killed lab, unless it is being brought up; returns the removed paths."""
    try:
        lock = Lock(name, wait=False)
    except BlockingIOError:
        return []
    with lock:
        return clear(lock) or []
