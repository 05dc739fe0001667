"""Create a rich Console: colour only on a terminal, and no wrapping elsewhere."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from netlab.view import rich
from netlab.view.plain import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment


def console(stream: IO[str], *, markup: bool = False, terminal_width: int | None = None) -> Console:
    """A console on ``stream``.

    Colour and emphasis on a terminal, unless NO_COLOR (no-color.org) or TERM=dumb says no. Off a terminal a
    line is never wrapped, so that grep sees it whole. ``markup``: strings may hold rich's own, and nothing
    unescaped.
    ``terminal_width``: write as for a terminal of so many columns, whatever the stream is.
    """

    class Plain(rich.Console):
        """Escapes control characters in printed text; those of rich's own styles are added later."""

        def on_broken_pipe(self) -> None:
            raise  # the BrokenPipeError at hand; rich itself would exit with 1

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                yield rich.Segment(text if control else visible(text), style, control)

    terminal = terminal_width is not None or stream.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    wide = terminal_width if terminal else 10_000
    return Plain(
        file=stream, highlight=False, markup=markup, emoji=False, color_system="auto" if colour else None,
        width=wide, soft_wrap=not terminal, force_terminal=True if terminal_width else None,
    )  # fmt: skip
