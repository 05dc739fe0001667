"""The screen of a lesson: printed, recorded, and the learner's answers."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

from netlab.cli.asciicast import COLUMNS
from netlab.cli.demo_texts import TEXTS
from netlab.model.shown import shown_in_line
from netlab.view.console import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from netlab.cli.asciicast import Recording

#: Letters that are read in a second, and the least and the most seconds that a recording waits for a reader.
_READ, _LEAST, _MOST = {"en": 30.0, "ja": 15.0}, 0.6, 12.0


class Screen:
    """Prints for the learner, and for a recording; with ``auto`` nobody is asked."""

    def __init__(self, language: str, recording: Recording | None, *, auto: bool) -> None:
        self.language = language
        self.auto = auto
        self._recording = recording
        self._console = console(sys.stdout)

    def say(self, key: str, style: str = "", **words: object) -> None:
        """One of netlab's own texts, in the learner's language."""
        self.print(self.text(key, **words), style=style)

    def text(self, key: str, **words: object) -> str:
        """The same, as a string."""
        return TEXTS[self.language][key].format(**words)

    def print(self, what: RenderableType = "", *, style: str = "", end: str = "\n") -> None:
        """Print text or what rich draws."""
        self._console.print(what, style=style or None, end=end)
        sys.stdout.flush()
        if self._recording is not None:
            drawn = io.StringIO()
            console(drawn, terminal_width=COLUMNS).print(what, style=style or None, end=end)
            self._recording.write(drawn.getvalue())
            if self.auto and isinstance(what, str):
                seconds = len(what) / _READ[self.language]
                self._recording.wait(min(max(seconds, _LEAST), _MOST))

    def ask(self, key: str, **words: object) -> str:
        """What the learner types, without blanks around it. Raises EOFError at the end of the input."""
        self.print(self.text(key, **words), style="dim", end="")
        line = sys.stdin.readline()
        if not line:
            self.print()
            raise EOFError
        if self._recording is not None:
            self._recording.write(shown_in_line(line.rstrip("\n")) + "\n")
        return line.strip()

    def wait(self) -> None:
        """Until the learner wants to go on."""
        if not self.auto:
            self.ask("continue")

    def shell(self, argv: Sequence[str]) -> None:
        """Run a program with the learner's terminal, and record what it writes."""
        recording = self._recording
        if recording is None:
            subprocess.run(argv, check=False)
            return

        def read(terminal: int) -> bytes:
            data = os.read(terminal, 65536)
            recording.write(data.decode(errors="replace"))
            return data

        pty.spawn(list(argv), read)
