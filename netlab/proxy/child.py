"""Fork a process that serves listeners: far cheaper than a new interpreter, and it shares its parent's pages.

The parent must be single-threaded, as a supervisor is.
"""

from __future__ import annotations

import _socket
import gc
import os
import signal
import sys
from typing import TYPE_CHECKING

from netlab.proxy import identity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

#: Where a real docker-proxy looks (moby ``cmd/docker-proxy/main_linux.go``).
READY_FD = 3
LISTEN_FD = 4

_ANY_FD = 1 << 30


def serve(
    argv: Sequence[str], enter: Callable[[], None], *, helped: bool = False
) -> tuple[int, _socket.socket]:
    """Fork a server that appears as ``argv``, in the namespace that ``enter`` enters.

    ``helped``: it may have a helper (:mod:`netlab.proxy.helper`). Returns its pid and the control socket
    (:mod:`netlab.proxy.server`). It ends when that socket is closed or the parent dies. Raises OSError.
    """
    mine, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        run(lambda: _serve(its.fileno(), list(argv), enter, parent, helped), its.fileno())
    its.close()
    return pid, mine


def execute(
    path: str, argv: Sequence[str], enter: Callable[[], None], listener: int | None
) -> tuple[int, int]:
    """Fork and execute a real docker-proxy; returns its pid and the pipe on which it says it is ready."""
    ready, its = os.pipe2(os.O_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        run(lambda: _execute(path, list(argv), enter, its, listener, parent), its)
    os.close(its)
    return pid, ready


def run(work: Callable[[], None], report: int) -> NoReturn:
    """Do ``work`` in a forked child and end; what goes wrong is written to ``report``. Never returns."""
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        os.write(report, f"1\n{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)


def _serve(fd: int, argv: list[str], enter: Callable[[], None], parent: int, helped: bool) -> None:
    _signals()
    identity.end_with_parent(parent)
    enter()
    identity.rename(argv)
    keep_only({fd})
    _descriptor_limit()
    # Connections make no cycles, so the collector would only copy the parent's pages.
    gc.disable()
    gc.freeze()
    from netlab.proxy.server import Server

    server = Server(helped=helped)
    server.control(_socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd))
    server.run()


def _execute(
    path: str, argv: list[str], enter: Callable[[], None], ready: int, listener: int | None, parent: int
) -> None:
    _signals()
    identity.end_with_parent(parent)
    enter()
    # Out of the way first: either may be 3 or 4 itself.
    high = [os.dup(fd) for fd in (ready, *([] if listener is None else [listener]))]
    while min(high) <= LISTEN_FD:
        high = [os.dup(fd) for fd in high]
    for number, fd in enumerate(high, READY_FD):
        os.dup2(fd, number, inheritable=True)
    keep_only({READY_FD, *([] if listener is None else [LISTEN_FD])})
    os.execv(path, argv)  # noqa: S606 - no shell, and the program is the one that the scenario names


def _signals() -> None:
    """Die of signals as a fresh process does; nothing of the parent's handlers is left."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _descriptor_limit() -> None:
    """As many descriptors as the hard limit lets, which is what Go's runtime asks for at its start, too."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def keep_only(keep: set[int]) -> None:
    """Close all other descriptors: a parent's namespaces, sockets and terminals are none of its business."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    start = 3
    for fd in sorted(keep):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, _ANY_FD)
    sys.stdin = sys.stdout = sys.stderr = None
