"""The supervisor's children: fork, identify, reap."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from netlab.kernel import descriptors

#: What a forked child exits with after a bug; the traceback is in the log.
BUG = 70


@dataclass(slots=True, eq=False)
class Child:
    """A process of the lab for which the supervisor is responsible.

    ``kind``: ``build``, ``responder``, ``docker-proxy``, ``dockerd``, ``command``, ``exec``, ``helper``.
    ``returncode`` is None while it runs, then as in :mod:`subprocess`: negative for a signal.
    """

    pid: int
    kind: str
    node: str = ""
    label: str = ""
    returncode: int | None = None
    on_exit: Callable[[Child], None] | None = None
    stopped: bool = False  #: by SIGSTOP or a similar signal: it does not answer
    on_stop: Callable[[Child], None] | None = None


def ending(child: Child) -> str:
    """How a child ended, in words."""
    if child.returncode == -signal.SIGKILL:
        return "was killed; by the kernel, if memory ran out (dmesg, or the limit of a memory cgroup)"
    return f"ended with {child.returncode}"


class Children:
    """Every process that the supervisor knows of, and the exit of those that it did not know yet.

    An exception of a child's ``on_exit`` or ``on_stop`` goes to ``failed``: the other children are reaped all
    the same.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self.known: dict[int, Child] = {}
        self._early: dict[int, int] | None = {}

    def fork(self, child: Child, work: Callable[[], int], keep: Iterable[int] = ()) -> Child:
        """Run ``work`` in a forked child with stdio and the descriptors ``keep``, and nothing else open."""
        pid = os.fork()
        if pid == 0:
            _run(work, sorted(set(keep)))
        child.pid = pid
        self.known[pid] = child
        return child

    def adopt(self, child: Child) -> None:
        """Take over a process that a child left behind."""
        self.known[child.pid] = child
        if self._early is not None and child.pid in self._early:
            self._ended(child, self._early.pop(child.pid))

    def reap(self) -> None:
        """Take every process that ended, as the first process of a PID namespace must."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.known.get(pid)
            if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                if child is not None:
                    self._stopped(child, os.WIFSTOPPED(status))
                continue
            code = os.waitstatus_to_exitcode(status)
            if child is not None:
                self._ended(child, code)
            elif self._early is not None:
                self._early[pid] = code

    def kill(self, child: Child) -> None:
        """End a child, if it still runs; its ``on_exit`` is called as usual."""
        if child.returncode is None:
            os.kill(child.pid, signal.SIGKILL)

    def forget_strangers(self) -> None:
        """No more processes will be adopted, so their exits need not be stored."""
        self._early = None

    def _ended(self, child: Child, code: int) -> None:
        child.returncode = code
        self._tell(child, child.on_exit)

    def _stopped(self, child: Child, stopped: bool) -> None:
        child.stopped = stopped
        if stopped:
            self._tell(child, child.on_stop)

    def _tell(self, child: Child, listener: Callable[[Child], None] | None) -> None:
        if listener is not None:
            try:
                listener(child)
            except Exception as error:
                self._failed(error)


def _run(work: Callable[[], int], keep: Sequence[int]) -> NoReturn:
    """The whole life of a forked child."""
    code = BUG
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        descriptors.close_all_but(keep)
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
