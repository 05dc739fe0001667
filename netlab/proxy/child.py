"""Fork a process that serves listeners: far cheaper than a new interpreter, and it shares its parent's pages.

The parent must be single-threaded, as a supervisor is.
"""

from __future__ import annotations

import _socket
import gc
import os
from typing import TYPE_CHECKING

from netlab.proxy import identity
from netlab.proxy.forked import keep_only, raise_descriptor_limit, reset_signals, run
from netlab.proxy.server import Inside, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Where a real docker-proxy looks (moby ``cmd/docker-proxy/main_linux.go``).
READY_FD = 3
LISTEN_FD = 4


def serve(
    argv: Sequence[str],
    enter: Callable[[], None],
    *,
    helped: bool = False,
    inside: Inside | None = None,
) -> tuple[int, _socket.socket]:
    """Fork a server that appears as ``argv``, in the namespace that ``enter`` enters.

    ``helped``: it may have a helper (:mod:`netlab.proxy.helper`). ``inside``: its listeners lead into another
    namespace. Returns its pid and the control socket
    (:mod:`netlab.proxy.server`). It ends when that socket is closed or the parent dies. Raises OSError.
    """
    mine, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        run(lambda: _serve(its.fileno(), list(argv), enter, parent, helped, inside), its.fileno())
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


def _serve(
    fd: int,
    argv: list[str],
    enter: Callable[[], None],
    parent: int,
    helped: bool,
    inside: Inside | None,
) -> None:
    reset_signals()
    identity.end_with_parent(parent)
    enter()
    identity.rename(argv)
    keep_only({fd} if inside is None else {fd, *inside.spaces.all()})
    raise_descriptor_limit()
    # Connections make no cycles, so the collector would only copy the parent's pages.
    gc.disable()
    gc.freeze()
    server = Server(helped=helped, inside=inside)
    server.control(_socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, fd))
    server.run()


def _execute(
    path: str, argv: list[str], enter: Callable[[], None], ready: int, listener: int | None, parent: int
) -> None:
    reset_signals()
    identity.end_with_parent(parent)
    enter()
    # Move them first: either may be 3 or 4 itself.
    high = [os.dup(fd) for fd in (ready, *([] if listener is None else [listener]))]
    while min(high) <= LISTEN_FD:
        high = [os.dup(fd) for fd in high]
    for number, fd in enumerate(high, READY_FD):
        os.dup2(fd, number, inheritable=True)
    keep_only({READY_FD, *([] if listener is None else [LISTEN_FD])})
    os.execv(path, argv)  # noqa: S606 - no shell, and the program is the one that the scenario names
