"""The supervisor's loop: descriptors that become readable, and deadlines."""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable
from typing import NoReturn

Handler = Callable[[], None]


class Timer:
    """Something to be done at a time, unless it is cancelled."""

    __slots__ = ("callback",)

    def __init__(self, callback: Handler) -> None:
        self.callback: Handler | None = callback

    def cancel(self) -> None:
        """Cancel it; you may call this twice."""
        self.callback = None


class Loop:
    """Calls handlers, one at a time. An exception of a handler goes to ``failed``, and the loop goes on.

    The descriptor of a handler that failed is not watched any more, unless it is ``vital``: it would be
    readable for ever, and its handler would fail for ever.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._poll = select.poll()
        self._handlers: dict[int, Handler] = {}
        self._vital: set[int] = set()
        self._timers: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()

    def watch(self, fd: int, handler: Handler, *, vital: bool = False) -> None:
        """Call ``handler`` whenever the descriptor can be read, or its other end is closed."""
        self._handlers[fd] = handler
        self._poll.register(fd, select.POLLIN)
        if vital:
            self._vital.add(fd)

    def also_writable(self, fd: int, wanted: bool) -> None:
        """Turn on or off calls of the handler when the descriptor can be written."""
        self._poll.modify(fd, select.POLLIN | select.POLLOUT if wanted else select.POLLIN)

    def watches(self, fd: int) -> bool:
        """Whether the descriptor is watched."""
        return fd in self._handlers

    def unwatch(self, fd: int) -> None:
        """Stop watching the descriptor; call this before you close it."""
        del self._handlers[fd]
        self._vital.discard(fd)
        self._poll.unregister(fd)

    def after(self, seconds: float, callback: Handler) -> Timer:
        """Call ``callback`` once, after this many seconds."""
        timer = Timer(callback)
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), timer))
        return timer

    def run(self) -> NoReturn:
        """Serve until a handler ends the process."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Wait until there is something to do, and do it."""
        for fd, _ in self._poll.poll(self._timeout()):
            if (handler := self._handlers.get(fd)) is not None:
                self._call(handler, fd)
        while self._timers and self._timers[0][0] <= time.monotonic():
            _, _, timer = heapq.heappop(self._timers)
            if (callback := timer.callback) is not None:
                timer.cancel()
                self._call(callback)

    def _timeout(self) -> float | None:
        """Milliseconds until the next deadline; None if there is none."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - time.monotonic()) * 1000 + 1

    def _call(self, handler: Handler, fd: int | None = None) -> None:
        try:
            handler()
        except Exception as error:
            if fd is not None and fd not in self._vital and self._handlers.get(fd) is handler:
                self.unwatch(fd)
            self._failed(error)
