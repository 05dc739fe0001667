"""A forked child of the proxy: its signals, its descriptors, and how it reports errors."""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import TYPE_CHECKING

from netlab.kernel import descriptors

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


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


def reset_signals() -> None:
    """Reset signal handlers to those of a new process."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def raise_descriptor_limit() -> None:
    """Raise the limit of descriptors to the hard limit, as Go's runtime does at its start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def keep_only(keep: set[int]) -> None:
    """Close all other descriptors, such as the parent's namespaces, sockets and terminals."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    descriptors.close_all_but(keep)
    sys.stdin = sys.stdout = sys.stderr = None
