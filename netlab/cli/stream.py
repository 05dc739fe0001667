"""The program's stdout and stderr, with control characters escaped."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from netlab.view.plain import visible

if TYPE_CHECKING:
    from typing import TextIO


class ShownStream(io.TextIOWrapper):
    """Text with control and invisible characters escaped; colour passes where the stream is in colour."""

    def __init__(self, stream: TextIO) -> None:
        """Replace ``stream``, which must not be used any more."""
        stream.flush()
        super().__init__(
            stream.buffer, encoding=stream.encoding, errors="backslashreplace",
            line_buffering=getattr(stream, "line_buffering", False),
            write_through=getattr(stream, "write_through", False),  # PYTHONUNBUFFERED
        )  # fmt: skip
        self._before = stream  # which closes what it writes to when it goes
        self._styles = in_colour(self)

    def write(self, text: str) -> int:
        """Write text as it may be seen; returns how many characters were given."""
        super().write(visible(text, styles=self._styles))
        return len(text)

    def redraw(self, text: str) -> None:
        """Write ``text`` over the line that the cursor is in, and stay there."""
        super().write(f"\r\033[K{visible(text)}")
        self.flush()


def in_colour(stream: TextIO) -> bool:
    """Whether to write in colour: a terminal, and nobody said NO_COLOR (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()
