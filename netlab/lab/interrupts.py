"""Ctrl-C in a program that uses a lab: delayed until it can break nothing.

Python raises KeyboardInterrupt between any two steps of the main thread. In the first step of ``__exit__``,
it would leave the lab running; in the middle of an import, half a package, which no later import repairs
(yaml reports "partially initialized module" from then on). So while a lab exists, an interrupt in code marked
:func:`~netlab.lab.unbroken.unbroken`, or in an import by netlab, is sent again a moment later.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from netlab.lab.unbroken import CODES, unbroken

#: Seconds until an interrupt is sent again.
_MOMENT = 0.005
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_IMPORTER = "<frozen importlib._bootstrap>"

_holders = 0
_before: Callable[[int, FrameType | None], Any] | None = None


def hold() -> None:
    """From now on interrupts wait; :func:`let_go` as often as this ends it. Of the main thread only."""
    global _holders, _before
    _holders += 1
    found = signal.getsignal(signal.SIGINT)
    if found is _handle or not callable(found) or threading.current_thread() is not threading.main_thread():
        return
    _before = found
    signal.signal(signal.SIGINT, _handle)


def let_go() -> None:
    """End :func:`hold`: restore the previous handler."""
    global _holders
    _holders -= 1
    main = threading.current_thread() is threading.main_thread()
    if not _holders and main and signal.getsignal(signal.SIGINT) is _handle:
        signal.signal(signal.SIGINT, _before)


class Hold:
    """One :func:`hold`, which ends only once."""

    _taken = False

    @unbroken
    def take(self) -> None:
        """Interrupts wait from now on."""
        hold()
        self._taken = True

    @unbroken
    def let_go(self) -> None:
        """End it; a second call does nothing."""
        if self._taken:
            self._taken = False
            let_go()


@contextmanager
def held() -> Iterator[None]:
    """:func:`hold` for a while."""
    hold()
    try:
        yield
    finally:
        let_go()


def _handle(number: int, frame: FrameType | None) -> None:
    if _must_wait(frame):
        _thread.start_new_thread(_again, (number,))  # threading's own would take locks, perhaps held here
    elif _before is not None:
        _before(number, frame)


def _must_wait(frame: FrameType | None) -> bool:
    """Whether an interrupt here would break something off that cannot be mended."""
    importing = False
    while frame is not None:
        code = frame.f_code
        if code in CODES or (importing and code.co_filename.startswith(_PACKAGE)):
            return True
        importing = importing or code.co_filename == _IMPORTER
        frame = frame.f_back
    return False


def _again(number: int) -> None:
    select.select([], [], [], _MOMENT)
    main = threading.main_thread().ident
    if main is not None:
        signal.pthread_kill(main, number)
