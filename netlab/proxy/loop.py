"""The event loop: one epoll, one handler a file descriptor.

Descriptors are closed at the end of a batch, so that a number is not reused while an event of its former
owner may still be in the batch.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable

IN = select.EPOLLIN
OUT = select.EPOLLOUT
GONE = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
EDGE = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET

BATCH = 256


class Loop:
    """Calls ``handler(events)`` for what happens to a descriptor, and timers when they are due."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.handlers: dict[int, Callable[[int], None]] = {}
        #: what used up its turn and has more to do
        self.again: list[Callable[[], None]] = []
        #: called after descriptors were closed, once
        self.on_closed: list[Callable[[], None]] = []
        self._closing: list[socket] = []
        self._timers: dict[Callable[[float], float | None], float] = {}
        self._stopped = False

    def watch(self, fd: int, handler: Callable[[int], None], events: int = EDGE) -> None:
        """Watch ``fd``; raises OSError."""
        self.epoll.register(fd, events)
        self.handlers[fd] = handler

    def discard(self, sock: socket) -> None:
        """Close ``sock`` at the end of this batch; nothing of it is handled any more."""
        self.handlers.pop(sock.fileno(), None)
        self._closing.append(sock)

    def at(self, when: float, timer: Callable[[float], float | None]) -> None:
        """Call ``timer(now)`` at ``when`` (CLOCK_MONOTONIC); it returns when next, or None."""
        self._timers[timer] = min(when, self._timers.get(timer, when))

    def cancel(self, timer: Callable[[float], float | None]) -> None:
        """Forget a timer."""
        self._timers.pop(timer, None)

    def stop(self) -> None:
        """End :meth:`run` after this batch."""
        self._stopped = True

    def run(self) -> None:
        """Serve until :meth:`stop`."""
        poll = self.epoll.poll
        handlers = self.handlers
        while not self._stopped:
            timeout = 0.0 if self.again else self._next_timer() if self._timers else -1.0
            if self._closing:
                self.close_now()
            for fd, events in poll(timeout, BATCH):
                handler = handlers.get(fd)
                if handler is not None:
                    handler(events)
            if self.again:
                turn, self.again = self.again, []
                for resume in turn:
                    resume()

    def close_now(self) -> None:
        """Close what was discarded."""
        closing, self._closing = self._closing, []
        for sock in closing:
            sock.close()
        if self.on_closed:
            waiting, self.on_closed = self.on_closed, []
            for call in waiting:
                call()

    def _next_timer(self) -> float:
        """Run the timers that are due; returns the seconds until the next one, or -1."""
        now = time.monotonic()
        for timer, when in list(self._timers.items()):
            if when <= now:
                following = timer(now)
                if following is None:
                    self.cancel(timer)
                else:
                    self._timers[timer] = following
        if not self._timers:
            return -1.0
        return max(0.0, min(self._timers.values()) - now)
