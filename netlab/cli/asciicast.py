"""A recording of a terminal in the format asciicast v2 (docs.asciinema.org/manual/asciicast/v2)."""

from __future__ import annotations

import json
import time
from typing import IO

#: The columns and lines of a recording.
COLUMNS, LINES = 100, 30


class Recording:
    """Writes a header and one line of JSON for each piece of output, with the seconds since the beginning."""

    def __init__(self, file: IO[bytes], title: str) -> None:
        self._file = file
        self._begin = time.monotonic()
        self._waited = 0.0
        header = {
            "version": 2,
            "width": COLUMNS,
            "height": LINES,
            "timestamp": int(time.time()),
            "title": title,
        }
        self._line(header)

    def write(self, text: str) -> None:
        """Text as the terminal got it; a newline alone also returns to the first column."""
        if text:
            at = time.monotonic() - self._begin + self._waited
            self._line([round(at, 6), "o", text.replace("\r\n", "\n").replace("\n", "\r\n")])

    def wait(self, seconds: float) -> None:
        """Let the player wait, which nobody does while it is recorded."""
        self._waited += seconds

    def _line(self, data: object) -> None:
        self._file.write(json.dumps(data, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
