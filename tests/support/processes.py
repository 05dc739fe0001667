"""Processes of a lab, from outside: stop one, and see what it has open."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from netlab.kernel import process
from support.witness import until


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process meanwhile.

    A process that has not run since the signal came still does what it was woken for, so wait for its state.
    """
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: process.state(pid) == "T", f"process {pid} is stopped")
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def open_files(pid: int) -> dict[str, tuple[int, int]]:
    """The path of each descriptor of a process, with device and inode of its file; none if it has ended.

    The kernel lets only root look at those of a process that is about to end: it has no memory any more, so
    whether it may be dumped is unknown (task_dump_owner in fs/proc/base.c).
    """
    found: dict[str, tuple[int, int]] = {}

    def looked() -> bool:
        found.clear()
        try:
            for path in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed in the meantime
                    file = path.stat()
                    found[str(path)] = file.st_dev, file.st_ino
        except (FileNotFoundError, ProcessLookupError):
            found.clear()
        except PermissionError:
            found.clear()
            return process.state(pid) in "ZX"
        return True

    until(looked, f"process {pid} ends, or shows its descriptors")
    return found
