"""Write SVG: shapes and text on a grid of pixels, legible in light and dark, with a title and a description.

An XML library writes everything, so a text is a text whatever it holds. Shapes have classes; one style sheet
colours them. Colour is never the only sign: each kind of shape has words, a border or a dash of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from xml.etree import ElementTree

from netlab.model.shown import shown_in_line

#: Pixels: the advance of a character, a line, the size of letters.
CHAR, LINE, SIZE = 8.43, 20, 14
_FONT: Final = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"

#: sizes of letters beside the usual one, each a class: a page's policy may forbid style attributes
_SIZES: Final = {12: "small", 18: "large"}
#: class → (light, dark) declarations. Text has a contrast of at least 4.5 on every fill (WCAG 2.2, 1.4.3).
_COLOURS: Final = {
    "paper": ("fill:#ffffff", "fill:#14181d"),
    "text": ("fill:#16191d", "fill:#eceff2"),
    "dim": ("fill:#4b535c", "fill:#b3bcc5"),
    "host": ("fill:#f3f6fa;stroke:#31506f", "fill:#1b222a;stroke:#8fb3d6"),
    "container": ("fill:#e4f1e4;stroke:#1f5f2b", "fill:#17301c;stroke:#7cc68a"),
    "outside": ("fill:#fbeedb;stroke:#7a4a00", "fill:#33260f;stroke:#e2b05f"),
    "bus": ("fill:#e1e9f6;stroke:#2a4b8d", "fill:#1b2a45;stroke:#8cb0f0"),
    "port": ("fill:#ffffff;stroke:#5b3a8c", "fill:#231a33;stroke:#c3a3f2"),
    "wire": ("stroke:#4b535c", "stroke:#b3bcc5"),
    "idle": ("fill:#ffffff;stroke:#8a929a", "fill:#14181d;stroke:#6b757f"),
    "passed": ("fill:#e3eefb;stroke:#0b4f94", "fill:#12304f;stroke:#7fb8f2"),
    "allowed": ("fill:#d9efdc;stroke:#12652a", "fill:#143a1f;stroke:#6fd08a"),
    "stopped": ("fill:#fbdcd9;stroke:#a31515", "fill:#4a1917;stroke:#ff9b92"),
    "way": ("stroke:#0b4f94", "stroke:#7fb8f2"),
    "unused": ("stroke:#8a929a", "stroke:#6b757f"),
    "head": ("fill:#0b4f94", "fill:#7fb8f2"),
    "changed": ("fill:#7a2e00", "fill:#ffb98a"),
    "dot": ("fill:#4b535c", "fill:#b3bcc5"),
}
#: Declarations that light and dark have in common.
_SHAPES: Final = {
    "host": "stroke-width:2",
    "container": "stroke-width:1.5",
    "outside": "stroke-width:1.5;stroke-dasharray:6 3",
    "bus": "stroke-width:1.5",
    "port": "stroke-width:1.5",
    "idle": "stroke-width:1;stroke-dasharray:3 3",
    "passed": "stroke-width:2",
    "allowed": "stroke-width:3",
    "stopped": "stroke-width:3;stroke-dasharray:8 3",
    "way": "stroke-width:3.5;fill:none",
    "unused": "stroke-width:1.5;fill:none;stroke-dasharray:3 3",
    "changed": "font-weight:bold",
    "wire": "stroke-width:1.5;fill:none",
}


def style_sheet() -> str:
    """The style of every drawing; all selectors begin with ``.netlab``, so that it can stand in a page."""
    common = [f".netlab text{{font:{SIZE}px {_FONT};white-space:pre}}", ".netlab .bold{font-weight:bold}"]
    common += [f".netlab .{name}{{font-size:{size}px}}" for size, name in _SIZES.items()]
    common += [f".netlab .{name}{{{declarations}}}" for name, declarations in _SHAPES.items()]
    light, dark = (
        "".join(f".netlab .{name}{{{pair[number]}}}" for name, pair in _COLOURS.items()) for number in (0, 1)
    )
    return "".join(common) + light + f"@media (prefers-color-scheme:dark){{{dark}}}"


def cells(text: str) -> int:
    """The columns that a text takes in a font of fixed width."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def folded(words: str, columns: int, indent: str = "") -> list[str]:
    """The words in lines of ``columns``, all but the first indented; a word that is longer is cut."""
    lines = [""]
    for word in shown_in_line(words).split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if cells(longer) <= columns:
            lines[-1] = longer
            continue
        if lines[-1].strip():
            lines.append(indent)
        rest = word
        while cells(lines[-1] + rest) > columns:
            room = columns - cells(lines[-1])
            cut = max(1, next(n for n in range(len(rest), -1, -1) if cells(rest[:n]) <= room))
            lines[-1] += rest[:cut]
            rest = rest[cut:]
            lines.append(indent)
        lines[-1] += rest
    return lines


def text_width(text: str) -> float:
    """The width of a text in pixels, as it is shown."""
    return cells(shown_in_line(text)) * CHAR


class Drawing:
    """An SVG document that grows with what is drawn in it."""

    def __init__(self) -> None:
        self._parts: list[ElementTree.Element] = []
        self._width = 0.0
        self._height = 0.0

    def box(self, x: float, y: float, width: float, height: float, look: str, *, corner: float = 4) -> None:
        """A rectangle of the class ``look``."""
        self._add("rect", look, x=x, y=y, width=width, height=height, rx=corner)
        self._reach(x + width, y + height)

    def line(self, points: Sequence[tuple[float, float]], look: str = "wire") -> None:
        """A line through points."""
        self._add("polyline", look, points=" ".join(f"{_number(x)},{_number(y)}" for x, y in points))
        for x, y in points:
            self._reach(x, y)

    def arrow(self, points: Sequence[tuple[float, float]], look: str = "way", head: str = "head") -> None:
        """A line through points with a head at its end."""
        self.line(points, look)
        (x, y), (before_x, before_y) = points[-1], points[-2]
        length = max(((x - before_x) ** 2 + (y - before_y) ** 2) ** 0.5, 1e-9)
        across, along = (x - before_x) / length, (y - before_y) / length
        wings = [(x - 11 * across + side * 6 * along, y - 11 * along - side * 6 * across) for side in (1, -1)]
        self._add("polygon", head, points=" ".join(f"{_number(a)},{_number(b)}" for a, b in [(x, y), *wings]))

    def dot(self, x: float, y: float) -> None:
        """A joint of two lines."""
        self._add("circle", "dot", cx=x, cy=y, r=3.5)

    def text(
        self, x: float, y: float, words: str, look: str = "text", *, anchor: str = "start", size: int = SIZE
    ) -> None:
        """One line of text with its base at ``y``."""
        made = self._add("text", look, x=x, y=y)
        if anchor != "start":
            made.set("text-anchor", anchor)
        if size != SIZE:
            made.set("class", f"{look} {_SIZES[size]}")
        made.text = shown_in_line(words)
        wide = text_width(words) * size / SIZE
        self._reach(x + {"start": wide, "middle": wide / 2, "end": 0}[anchor], y + LINE / 4)

    @contextmanager
    def stage(self, number: float) -> Iterator[None]:
        """What is drawn within is one group, which pages find by ``data-stage``; hooks have whole numbers."""
        made = ElementTree.Element("g", {"data-stage": f"{number:g}"})
        outer, self._parts = self._parts, []
        yield
        made.extend(self._parts)
        self._parts = [*outer, made]

    def render(
        self, title: str, description: Sequence[str], *, key: str = "netlab", styled: bool = True
    ) -> str:
        """The document; ``key`` begins the ids of its parts. A page that has the style wants none in it."""
        width, height = self._width + 16, self._height + 16
        root = ElementTree.Element(
            "svg", {
                "xmlns": "http://www.w3.org/2000/svg", "class": "netlab", "role": "img",
                "aria-labelledby": f"{key}-title {key}-desc",
                "viewBox": f"0 0 {_number(width)} {_number(height)}",
                "width": _number(width), "height": _number(height),
            },
        )  # fmt: skip
        for name, lines in (("title", [title]), ("desc", description)):
            made = ElementTree.SubElement(root, name, {"id": f"{key}-{name}"})
            made.text = "\n".join(map(shown_in_line, lines))
        if styled:
            ElementTree.SubElement(root, "style").text = style_sheet()
        ElementTree.SubElement(
            root, "rect", {"class": "paper", "width": "100%", "height": "100%", "stroke": "none"}
        )
        root.extend(self._parts)
        return ElementTree.tostring(root, encoding="unicode") + "\n"

    def _add(self, name: str, look: str, **values: float | str) -> ElementTree.Element:
        attributes = {
            key: value if isinstance(value, str) else _number(value) for key, value in values.items()
        }
        made = ElementTree.Element(name, {"class": look, **attributes})
        self._parts.append(made)
        return made

    def _reach(self, x: float, y: float) -> None:
        self._width, self._height = max(self._width, x), max(self._height, y)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
