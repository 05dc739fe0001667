"""The picture of a packet's path as characters: a box for each hook, IPv4 and IPv6 side by side.

::

    client -> host:80/tcp
    IPv4: ok, forward
       ↓ 198.51.100.2:31246 → 198.51.100.1:80
    ┏━ 1 PREROUTING ━ in by ext0 ━━━━━━━━━━━┓
    ┃ nat PREROUTING → DOCKER: accept       ┃
    ┃ ⇒ 198.51.100.2:31246                  ┃
    ┃   → 192.168.10.10:80                  ┃
    ┗━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┛
       ↓ routing: docker_httpd (not INPUT)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from netlab.journey.sentence import sentence
from netlab.model.shown import shown_in_line
from netlab.view import rich
from netlab.view.path.words import chain_words, decision, links, outcome, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netlab.model.journey import Journey
    from netlab.view.path.scene import Picture, Scene, Stage

WIDTH: Final = 80
_GAP: Final = 2


def text(pictures: Sequence[tuple[Journey, Picture]], width: int = WIDTH) -> str:
    """Pictures side by side; no line is longer than ``width`` columns."""
    each = (width - _GAP * (len(pictures) - 1)) // len(pictures)
    columns = [list(_column(journey, picture, each)) for journey, picture in pictures]
    height = max(map(len, columns))
    rows = zip(*(column + [""] * (height - len(column)) for column in columns), strict=True)
    gap = " " * _GAP
    lines = [gap.join(_filled(cell, each) for cell in row).rstrip() for row in rows]
    for journey, _ in pictures:
        lines += ["", *(line for words in _caption(journey) for line in folded(words, width))]
    return "".join(f"{line}\n" for line in lines)


def _caption(journey: Journey) -> Iterator[str]:
    family = f"{outcome(journey).partition(':')[0]}: " if decision(journey) else ""
    for number, words in enumerate(decision(journey)):
        yield words if number else family + words
    yield sentence(journey)


def folded(words: str, width: int, indent: str = "") -> list[str]:
    """The words in lines of ``width`` columns; those after the first are indented. A wider word is cut."""
    lines = [""]
    for word in shown_in_line(words).split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if rich.cell_len(longer) <= width:
            lines[-1] = longer
            continue
        if not lines[-1].strip():
            lines.pop()
        lead = indent if lines else ""
        lines += [lead + part for part in rich.chop_cells(word, width - len(indent))]
    return lines


def _filled(words: str, width: int, fill: str = " ") -> str:
    return words + fill * (width - rich.cell_len(words))


def _column(journey: Journey, picture: Picture, width: int) -> Iterator[str]:
    yield from folded(title(journey), width)
    yield from folded(outcome(journey), width)
    number = 0
    for scene in picture.scenes:
        yield ""
        yield from folded(f"── {scene.title}", width, "   ")
        yield from _scene(scene, number, width)
        number += len(scene.stages)
    if picture.switched:
        yield ""
        yield from folded("── switched by a bridge, port to port", width, "   ")
        for stage in picture.switched:
            number += 1
            yield from _box(stage, number, width, f"bridge {stage.hook}")


def _scene(scene: Scene, number: int, width: int) -> Iterator[str]:
    first = scene.stages[0].came
    sender = f"{scene.sender}: " if scene.sender else ""
    yield from _indented(f"↓ {sender}{first.src} → {first.dst}", width)
    for index, stage in enumerate(scene.stages):
        yield from _box(stage, number + index + 1, width, stage.hook.upper())
        following = scene.stages[index + 1].hook if index + 1 < len(scene.stages) else ""
        for words in _after(scene, stage, following):
            yield from _indented(words, width)


def _indented(words: str, width: int) -> list[str]:
    return [f"   {line}" for line in folded(words, width - 3, "  ")]


def _after(scene: Scene, stage: Stage, following: str) -> Iterator[str]:
    """What follows a box: the routing decision, the way out, who took the packet, or why it ended."""
    if stage.stopped:
        yield "✕ dropped"
        return
    if stage.hook == "prerouting" and following in ("input", "forward"):
        other = "forward" if following == "input" else "input"
        yield f"↓ routing: to {following.upper()}, not {other.upper()}"
    elif stage.hook == "postrouting" and following == "prerouting":
        yield "↓ back in by the loopback interface"
    elif following:
        yield "↓"
    elif scene.ended:
        yield f"✕ {scene.ended}"
    elif stage.hook == "input" and scene.taker:
        yield f"↓ taken by {scene.taker}"
    elif stage.hook == "postrouting":
        yield f"↓ out by {stage.oif}" if stage.oif else "↓ out"


def _box(stage: Stage, number: int, width: int, name: str) -> Iterator[str]:
    first, *more = folded(" ━ ".join(filter(None, (f"{number} {name}", links(stage)))), width - 6)
    inner = [*more]
    for chain in stage.chains:
        inner += folded(chain_words(chain), width - 4, "    ")
    if stage.changed:
        inner += folded(f"⇒ {stage.left.src} → {stage.left.dst}", width - 4, "  ")
    yield _filled(f"┏━ {first} ", width - 1, "━") + "┓"
    yield from (f"┃ {_filled(line, width - 4)} ┃" for line in inner)
    yield _filled("┗", width - 1, "━") + "┛"
