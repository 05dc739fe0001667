"""Enter a lab with the caller's terminal: `exec` and `shell`.

The child is forked here, so it keeps the terminal, and its exit status and signals reach the caller directly.
But it runs in the lab's PID namespace, so it ends with the lab. For a single-threaded process, which can only
wait afterwards.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from netlab.kernel import descriptors
from netlab.lab.node import process
from netlab.model.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.lab.client.client import Client


def run_inside(
    client: Client,
    node: str | None,
    argv: list[str],
    *,
    env: dict[str, str] | None = None,
    prepare: Callable[[str], None] | None = None,
    interactive: bool = False,
) -> int:
    """Run a program in a node, or in the lab outside all nodes; returns the exit status as a shell does.

    ``prepare`` is called in the child, in its own mount namespace, with the lab's private directory. A shell
    (``interactive``) gets the terminal and its own process group: it cannot see the group in which it was
    started, which dash considers an error. Raises MachineError if the lab cannot be entered, LabError if it
    is gone.
    """
    private, fds = client.enter(node)
    user, mount, pid_namespace, *network = fds
    cwd = os.getcwd()
    try:
        process.join(user, mount, pid_namespace)
    except OSError as error:
        raise MachineError(f"cannot enter the lab {client.name}: {error.strerror}") from error
    own_group = interactive and _has_terminal()
    # Ctrl-C waits until parent and child have separated: no child may continue its parent's work.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        place = node or client.name
        descriptors.close_all_but(network)
        if own_group:
            process.must(_take_terminal, place)
        process.must(lambda: process.settle(network[0] if network else None, private, node), place)
        if prepare is not None:
            process.must(lambda: prepare(private), place)
        process.execute(argv, dict(os.environ if env is None else env), cwd)
    return _wait(pid, mask, interactive=own_group)


def _take_terminal() -> None:
    """Become the foreground process group of the terminal."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpgrp())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)


def _has_terminal() -> bool:
    """Whether stdin is this process's terminal, and it may read from it."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _wait(pid: int, mask: set[int], *, interactive: bool) -> int:
    """Wait for the child as a shell does: the terminal's signals are its own, others are handed on.

    ``mask``: the signals that were blocked before SIGINT was.
    """
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number in (
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGUSR1,
        signal.SIGUSR2,
        signal.SIGWINCH,
        signal.SIGCONT,
    ):
        signal.signal(number, lambda number, _: _hand_on(pid, number))
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED if interactive else 0)
        if not os.WIFSTOPPED(status):
            break
        _take_terminal_back()
        os.kill(os.getpid(), signal.SIGSTOP)  # a shell's `suspend`: until `fg`
        _give_terminal(pid)
        os.kill(pid, signal.SIGCONT)
    _take_terminal_back()
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _hand_on(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it has just ended, and is about to be reaped


def _take_terminal_back() -> None:
    """A shell with job control made itself the terminal's foreground group, and is gone now."""
    _give_terminal(os.getpgrp())


def _give_terminal(group: int) -> None:
    if not sys.stdin.isatty():
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(0, group)
    except OSError:
        pass  # not our controlling terminal, so nothing took it
