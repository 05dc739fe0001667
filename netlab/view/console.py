"""The one way to a rich Console: colour on a terminal only, and no wrapping off it."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def console(stream: IO[str], *, markup: bool = False) -> Console:
    """A console on ``stream``.

    Colour on a terminal, unless NO_COLOR (no-color.org) or TERM=dumb says no. Off a terminal a line is never
    wrapped, so that grep sees it whole. ``markup``: strings may hold rich's own, and nothing unescaped.
    """
    from rich.console import Console

    colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    wide = None if stream.isatty() else 10_000
    return Console(
        file=stream, highlight=False, markup=markup, emoji=False, no_color=not colour, width=wide,
        soft_wrap=not stream.isatty(),
    )  # fmt: skip
