"""Progress on a terminal: one line, redrawn in place, only for what takes longer than a blink."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from netlab.cli.stream import ShownStream
from netlab.model.shown import shown_in_line

if TYPE_CHECKING:
    from typing import TextIO

#: Seconds that pass before anything is shown.
PATIENCE = 0.4


class Progress:
    """A status line, erased at the end; writes nothing without a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._began = time.monotonic()
        self._shown = False

    def show(self, doing: list[str]) -> None:
        """Show the current activity, and for how long it has lasted."""
        elapsed = time.monotonic() - self._began
        if not self._live or elapsed < PATIENCE or not doing:
            return
        text = f"{elapsed:4.1f} s  " + ", ".join(doing)
        width = os.get_terminal_size(self._stream.fileno()).columns
        self._redraw(shown_in_line(text)[: width - 1])
        self._shown = True

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._redraw("")

    def _redraw(self, text: str) -> None:
        if isinstance(self._stream, ShownStream):
            self._stream.redraw(text)
        else:
            self._stream.write(f"\r\033[K{text}")
            self._stream.flush()
