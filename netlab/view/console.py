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
    from rich.text import Text


#: Columns by which the rest of a line is indented more than the line.
_MORE = 4
#: Columns that are left for the text at least.
_LEAST = 20


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


def print_indented(out: Console, line: Text) -> None:
    """Print a line; on a terminal where it does not fit, what is left of it follows, indented by more."""
    body = len(line.plain) - len(line.plain.lstrip(" "))
    room = out.width - body - _MORE
    if out.soft_wrap or line.cell_len <= out.width or "\n" in line.plain or room < _LEAST:
        out.print(line)
        return
    first = line[body:].wrap(out, room + _MORE)[0]
    first.rstrip()
    rest = line[body + len(first) :]
    rest = rest[len(rest.plain) - len(rest.plain.lstrip(" ")) :]
    out.print(rich.Text(" " * body) + first)
    for part in rest.wrap(out, room):
        part.rstrip()
        out.print(rich.Text(" " * (body + _MORE)) + part)
