"""What goes on until Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Callable


class UntilInterrupted:
    """A block that runs until Ctrl-C, which calls ``stop``; then the block ends itself, with complete
    results.

    A second Ctrl-C aborts it. For the main thread.
    """

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        self._stop = stop
        self.interrupted = False

    def __enter__(self) -> UntilInterrupted:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, *_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.interrupted = True
        self._stop()
