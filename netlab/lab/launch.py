"""Starting a supervisor, and seeing it through until the lab stands: the owner's side.

The interpreter of the supervisor starts while the caller still reads the scenario; nothing exists of the
lab before :meth:`Launch.build`.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Any

from netlab.lab import state
from netlab.lab.wire import Channel, Disconnected, Message

if TYPE_CHECKING:
    from collections.abc import Callable

#: Runs in a bare interpreter (no site, no environment): where the caller found its modules, so does it.
_START = "import sys; sys.path[:] = sys.argv[3:]; from netlab.lab.supervisor import spawned; spawned()"

#: Descriptors in the new process; out of the way of stdio.
_CONTROL, _OWNER = 10, 11


class Launch:
    """A supervisor that this process owns: ends with it unless it is committed with ``detach``."""

    def __init__(self) -> None:
        """Start the process; returns before it runs. Raises MachineError."""
        mine, its = socket.socketpair()
        self.channel = Channel(mine)
        self.name = ""
        self.pid = 0  #: of the supervisor, once it said hello
        self.pidfd = -1
        self.warm = False  #: whether its processes have imported what they need
        self.warnings: list[str] = []
        try:
            self._child = _start(its.fileno())
        except OSError as error:
            mine.close()
            raise _not_started(error) from error
        finally:
            its.close()

    def build(
        self,
        lock: state.Lock,
        plan: str,
        record: dict[str, Any],
        progress: Callable[[str], None] | None = None,
        history: str = "",
    ) -> None:
        """Build the lab that ``lock`` names from a plan's text. Raises NetlabError.

        With its ``history`` (:func:`netlab.lab.codec.dump_history`) it can be changed later.
        When it returns everything stands and answers; when it raises, nothing is left.
        """
        self.start_building(lock, plan, record, history)
        while not self.heed(self._receive(), progress):
            pass

    def start_building(self, lock: state.Lock, plan: str, record: dict[str, Any], history: str = "") -> None:
        """:meth:`build` without the waiting: for several labs at once, with :meth:`heed`.

        The supervisor gets both locks of the lab: its own, which it keeps, and ``lock``, which it shares with
        the caller until the lab is committed. If the caller is killed, the next one waits for the supervisor.
        """
        self.name = lock.name
        proof = lock.supervisor_lock()
        fds = [memory_file(text) for text in (plan, history) if text]
        try:
            message = {"op": "build", "name": self.name, "path": lock.path, "record": record}
            self.channel.send(message, [proof.fd, lock.fd, *fds])
        except Disconnected:
            pass  # what it said before it ended tells why
        finally:
            proof.close()
            for fd in fds:
                os.close(fd)

    def heed(self, message: Message, progress: Callable[[str], None] | None = None) -> bool:
        """One message of the supervisor; True once the lab is ready. Raises the error that it reports."""
        match message["event"]:
            case "hello":
                self._greeted(message)
            case "warm":
                self.warm = True
            case "progress":
                if progress is not None:
                    progress(message["doing"])
            case "ready":
                self.warnings = message["warnings"]
                return True
            case "error":
                self.abandon()
                raise rebuilt(message, f"bringing up {self.name}")
        return False

    def commit(self, *, detach: bool) -> None:
        """Make the lab known; with ``detach`` it lives until `down`, else as long as this process."""
        self.channel.send({"op": "commit", "detach": detach})
        message = self._receive()
        if message["event"] != "committed":
            raise rebuilt(message, f"bringing up {self.name}")
        if detach:
            self.channel.close()
            os.close(self.pidfd)
            self.pidfd = -1

    def abandon(self) -> None:
        """Nothing is to come of it: end the supervisor, if it is there, and wait until it is gone."""
        try:
            while self._child:
                message, _ = self.channel.receive()
                if message["event"] == "hello":
                    self._greeted(message)
        except Disconnected:
            self._reap()
        if self.pidfd >= 0:
            end(self.pidfd, self.channel)
            os.close(self.pidfd)
            self.pidfd = -1
        self.channel.close()

    def _greeted(self, message: Message) -> None:
        self.pid = message["pid"]
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            pass  # killed since: its end of the channel is closed, which the next look tells
        self._reap()

    def _reap(self) -> None:
        """The process that was spawned has forked the supervisor, or failed to, and is over."""
        if self._child:
            os.waitpid(self._child, 0)
            self._child = 0

    def _receive(self) -> Message:
        try:
            return self.channel.receive()[0]
        except Disconnected:
            raise self.killed() from None

    def killed(self) -> Exception:
        """The error for a supervisor that went without a word."""
        self.abandon()
        return _error("LabError", f"bringing up {self.name}: its supervisor was killed")


def memory_file(text: str) -> int:
    """An anonymous file that holds ``text``, positioned at its start."""
    fd = os.memfd_create("netlab", os.MFD_CLOEXEC)
    with open(fd, "w", encoding="utf-8", closefd=False) as file:
        file.write(text)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _start(control: int) -> int:
    import fcntl

    owner = os.pidfd_open(os.getpid())
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OWNER + 1) for fd in (control, owner)]
    try:
        paths = [os.path.abspath(path) for path in sys.path]
        arguments = [
            sys.executable,
            "-I",
            "-S",
            "-X",
            "utf8",
            "-c",
            _START,
            str(_CONTROL),
            str(_OWNER),
            *paths,
        ]
        actions = [(os.POSIX_SPAWN_DUP2, null, fd) for fd in (0, 1)]
        actions += [
            (os.POSIX_SPAWN_DUP2, fd, number) for fd, number in zip(high, (_CONTROL, _OWNER), strict=True)
        ]
        return os.posix_spawn(
            sys.executable, arguments, os.environ, file_actions=actions, setsigmask=[], setsid=True
        )
    finally:
        for fd in (owner, null, *high):
            os.close(fd)


def end(pidfd: int | None, channel: Channel) -> None:
    """Ask a supervisor to end, and wait until it is gone; with a pidfd of it, its lab's processes too."""
    import select

    try:
        channel.sock.setblocking(True)
        channel.send({"op": "down"})
        while True:
            channel.receive()
    except Disconnected:
        pass
    if pidfd is not None:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll()


def _not_started(error: OSError) -> Exception:
    import errno

    from netlab.model.errors import exhausted

    if error.errno == errno.EINVAL:  # of F_DUPFD: no descriptor of that number may be (fcntl(2))
        error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    doing = f"cannot start {sys.executable or 'python'}"
    return exhausted(error, doing) or _error("MachineError", f"{doing}: {error.strerror}")


def _error(name: str, text: str) -> Exception:
    from netlab.model import errors

    found: Exception = getattr(errors, name)(text)
    return found


def rebuilt(message: Message, doing: str) -> Exception:
    """The error that a supervisor reported, as it was raised there; what is no NetlabError becomes one."""
    from netlab.model import errors

    name, text = message["error"], message["text"]
    if "problems" in message:
        return errors.ScenarioError(
            [
                errors.Problem(errors.Position(file, line, column), said)
                for file, line, column, said in message["problems"]
            ]
        )
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.NetlabError):
        return kind(text)
    error = errors.LabError(f"{doing}: {text}" if text else doing)
    if "traceback" in message:
        error.add_note(message["traceback"])
    return error
