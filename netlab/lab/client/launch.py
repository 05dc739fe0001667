"""Start a supervisor and wait until its lab is ready: the owner's side.

The interpreter of the supervisor starts while the caller still reads the scenario; nothing exists of the
lab before :meth:`Launch.build`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from netlab.kernel.channel import Channel, Disconnected, Message
from netlab.kernel.process import memory_file
from netlab.lab import state
from netlab.lab.unbroken import unbroken
from netlab.model.error_messages import from_message
from netlab.model.errors import LabError, MachineError, exhausted

if TYPE_CHECKING:
    from collections.abc import Callable

#: Runs in a bare interpreter (no site, no environment) with the caller's module path.
_START = (
    "import sys; sys.path[:] = sys.argv[3:]; from netlab.lab.supervisor.supervisor import spawned; spawned()"
)

#: Seconds that a supervisor may take to end after a request; it waits no longer than that for anything.
PATIENCE = 15.0
#: Seconds that the kernel may take for all processes of a lab.
GONE = 120.0

#: Descriptors in the new process, above stdio.
_CONTROL, _OWNER = 10, 11


class Launch:
    """A supervisor that this process owns: ends with it unless it is committed with ``detach``."""

    @unbroken
    def __init__(self) -> None:
        """Start the process; returns before it runs. Raises MachineError."""
        self._process = os.getpid()
        self._child = 0
        self.pidfd = -1
        mine, its = socket.socketpair()
        self.channel = Channel(mine)
        self.name = ""
        self.pid = 0  #: of the supervisor, after its first message
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

        With its ``history`` (:func:`netlab.lab.codec.dump_history`), it can be changed later. When this
        returns, everything runs and answers; if it raises, nothing is left.
        """
        self.start_building(lock, plan, record, history)
        while not self.take_report(self.receive(), progress):
            pass

    @unbroken
    def start_building(self, lock: state.Lock, plan: str, record: dict[str, Any], history: str = "") -> None:
        """:meth:`build` without the waiting: for several labs at once, with :meth:`take_report`.

        The supervisor gets both locks of the lab: its own, which it keeps, and ``lock``, which it shares with
        the caller until the lab is committed. If the caller is killed, the next one waits for the supervisor.
        """
        self.name = lock.name
        proof = lock.supervisor_lock()
        fds = [memory_file("netlab", text.encode()) for text in (plan, history) if text]
        try:
            message = {"op": "build", "name": self.name, "path": lock.path, "record": record}
            self.channel.send(message, [proof.fd, lock.fd, *fds])
        except Disconnected:
            pass  # its last messages tell why
        finally:
            proof.close()
            for fd in fds:
                os.close(fd)

    def take_report(self, message: Message, progress: Callable[[str], None] | None = None) -> bool:
        """One message of the supervisor; True once the lab is ready. Raises the error that it reports."""
        match message["event"]:
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
                raise from_message(message, f"bringing up {self.name}")
        return False

    def commit(self, *, detach: bool) -> None:
        """Publish the lab; with ``detach``, it runs until `down`, otherwise until this process ends."""
        self.channel.send({"op": "commit", "detach": detach})
        message = self.receive()
        if message["event"] != "committed":
            raise from_message(message, f"bringing up {self.name}")
        if detach:
            self.channel.close()
            os.close(self.pidfd)
            self.pidfd = -1

    @unbroken
    def abandon(self) -> None:
        """Give up: end the supervisor, if there is one, and wait until it is gone."""
        try:
            if self._child:
                self.channel.sock.settimeout(PATIENCE)
            while self._child:
                self.take()
                if self._child:
                    self.channel.fill()
        except (Disconnected, TimeoutError):
            os.kill(self._child, signal.SIGKILL)  # if it has not forked the supervisor, it never will
            self._reap()
        if self.pidfd >= 0:
            end(self.pidfd, self.channel)
            os.close(self.pidfd)
            self.pidfd = -1
        self.channel.close()

    @unbroken
    def _greeted(self, message: Message) -> None:
        self.pid = message["pid"]
        try:
            self.pidfd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            pass  # killed: its end of the channel is closed, which the next read shows
        self._reap()

    def __del__(self) -> None:
        mine = self._process == os.getpid()  # a forked child has a copy, and owns nothing
        if mine and (self._child or self.pidfd >= 0):  # an interrupt came before anything else had it
            self.abandon()

    def _reap(self) -> None:
        """The process that was spawned has forked the supervisor, or failed to, and is over."""
        if self._child:
            os.waitpid(self._child, 0)
            self._child = 0

    @unbroken
    def take(self) -> Message | None:
        """The next message that was read, for :meth:`take_report`, or None. Raises Disconnected.

        A greeting is noted here, so that nothing that comes between can lose it.
        """
        found = self.channel.take()
        if found is not None and found[0]["event"] == "hello" and self._child:
            self._greeted(found[0])
        return found and found[0]

    @unbroken
    def fill(self) -> None:
        """Read what has arrived. Raises Disconnected."""
        self.channel.fill()

    def receive(self) -> Message:
        """Wait for the next message; raises LabError if the supervisor was killed."""
        poll = select.poll()
        poll.register(self.channel.fileno(), select.POLLIN)
        try:
            while (found := self.take()) is None:
                poll.poll()  # which an interrupt may break off, since nothing has been read
                self.fill()
            return found
        except Disconnected:
            raise self.killed() from None

    def killed(self) -> Exception:
        """The error for a supervisor that went without a word."""
        self.abandon()
        return LabError(f"bringing up {self.name}: its supervisor was killed")


def _start(control: int) -> int:
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
    """Ask a supervisor to end, and wait until it is gone; with a pidfd of it, its lab's processes too.

    One that does not end, because it is stopped or hangs, is killed: the kernel takes the lab apart all the
    same, and names stay, for :func:`netlab.lab.state.clear`. Raises LabError if not even that ends it, or,
    without a pidfd, if it does not answer.
    """
    ends = _ends_by_itself(channel)
    if pidfd is None:
        if not ends:
            raise LabError("the supervisor is in another PID namespace and does not answer")
        return
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    if not ends:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    if not poll.poll(GONE * 1000):
        raise LabError(f"the kernel does not end the supervisor within {GONE:.0f} s of SIGKILL")


def _ends_by_itself(channel: Channel) -> bool:
    """Whether a supervisor closes the channel within :data:`PATIENCE` after a request to end."""
    try:
        channel.sock.settimeout(PATIENCE)
        channel.send({"op": "down"})
        while True:
            channel.receive()
    except Disconnected:
        return True
    except TimeoutError:
        return False


def _not_started(error: OSError) -> Exception:
    if error.errno == errno.EINVAL:  # of F_DUPFD: no descriptor of that number may be (fcntl(2))
        error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    doing = f"cannot start {sys.executable or 'python'}"
    return exhausted(error, doing) or MachineError(f"{doing}: {error.strerror}")
