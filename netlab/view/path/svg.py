"""The picture of a packet's path as SVG: the Netfilter diagram, with the way of the packet drawn on it.

Each leg is a diagram of its own. Packets enter at the top left. The left column has PREROUTING, FORWARD and
POSTROUTING, the right one INPUT, the local process and OUTPUT, so that all ways lead down. What was passed
has a number, a heavy frame and its base chains; what was not has a dotted frame. The journeys of one flow
over IPv4 and IPv6 are side by side.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from netlab.journey.sentence import sentence
from netlab.view.path.scene import HOOKS
from netlab.view.path.words import chain_words, decision, links, outcome, title
from netlab.view.svg import CHAR, LINE, Drawing, folded, text_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netlab.model.journey import Journey
    from netlab.view.path.scene import Picture, Scene, Stage

_EDGE: Final = 20.0
_GAP: Final = 44.0  #: between two boxes one below the other, and between columns
_PAD: Final = 10.0
_LEAST: Final = 250.0  #: the width of a column
_COLUMNS: Final = 44  #: the characters of a line in a box

_LEFT: Final = ("prerouting", "routing", "forward", "postrouting")
_RIGHT: Final = ("input", "process", "output")
Point = tuple[float, float]


def svg(pictures: Sequence[tuple[Journey, Picture]], *, key: str = "path", of_page: bool = False) -> str:
    """Pictures of journeys; those that differ in their family alone are side by side.

    ``of_page``: for a page that has the style sheet, and the steps in words beside the picture.
    """
    drawing = Drawing()
    y = _EDGE
    for row in _rows(pictures):
        x, bottom = _EDGE, y
        for journey, picture in row:
            panel = _Panel(drawing, x, y)
            panel.draw(journey, picture)
            x, bottom = panel.right + 2 * _GAP, max(bottom, panel.bottom)
        y = bottom + _GAP
    names = ", ".join(dict.fromkeys(title(journey) for journey, _ in pictures))
    told = [line for one in pictures for line in _told(*one)]
    if of_page:
        told = ["The steps are listed beside the picture."]
    return drawing.render(f"Path of {names}", told, key=key, styled=not of_page)


def _rows(
    pictures: Sequence[tuple[Journey, Picture]],
) -> list[list[tuple[Journey, Picture]]]:
    rows: list[list[tuple[Journey, Picture]]] = []
    for one in pictures:
        before = [journey for journey, _ in rows[-1]] if rows else []
        same = [title(journey) for journey in before] == [title(one[0])]
        if same and before[0].flow.family != one[0].flow.family:
            rows[-1].append(one)
        else:
            rows.append([one])
    return rows


def _told(journey: Journey, picture: Picture) -> list[str]:
    """A picture in sentences, for those who do not see it."""
    lines = [f"{title(journey)}, {outcome(journey)}."]
    for scene in picture.scenes:
        for stage in scene.stages:
            words = "; ".join(map(chain_words, stage.chains))
            lines.append(f"{scene.title}: {stage.hook.upper()} {links(stage)}: {words or 'no rules'}.")
            if stage.changed:
                lines.append(f"Rewritten to {stage.left.src} → {stage.left.dst}.")
    lines += [f"Switched: {stage.hook} of the bridge." for stage in picture.switched]
    return [*lines, *decision(journey), sentence(journey)]


@dataclass(slots=True)
class _Box:
    """A hook: its lines (words, class), and frames around some of them: (first line, (class, lines))."""

    look: str
    lines: list[tuple[str, str]]
    frames: list[tuple[int, tuple[str, int]]] = field(default_factory=list)
    number: float = 0
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def height(self) -> float:
        return len(self.lines) * LINE + 2 * _PAD

    @property
    def least(self) -> float:
        """The width that its lines need."""
        return max(_LEAST, *(text_width(words) + 2 * _PAD for words, _ in self.lines))

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def draw(self, drawing: Drawing) -> None:
        with drawing.stage(self.number) if self.look != "idle" else nullcontext():
            self._draw(drawing)

    def _draw(self, drawing: Drawing) -> None:
        drawing.box(self.x, self.y, self.width, self.height, self.look)
        for number, frame in self.frames:
            y, height = self.y + _PAD + number * LINE, frame[1] * LINE
            drawing.box(self.x + 3, y, self.width - 6, height, frame[0], corner=3)
        for number, (words, look) in enumerate(self.lines):
            drawing.text(self.x + _PAD, self.y + _PAD + (number + 0.75) * LINE, words, look)


def _box(hook: str, stage: Stage | None, number: int) -> _Box:
    if stage is None:
        return _Box("idle", [(hook.upper(), "dim")])
    title = f"{number} {hook.upper()}"
    box = _Box("stopped" if stage.stopped else "passed", [(title, "text bold")], number=number)
    if links(stage):
        box.lines += [(line, "dim") for line in folded(links(stage), _COLUMNS)]
    for chain in stage.chains:
        lines = folded(chain_words(chain), _COLUMNS, "   ")
        if chain.state in ("allowed", "stopped"):
            box.frames.append((len(box.lines), (chain.state, len(lines))))
        box.lines += [(line, "dim" if chain.state == "idle" else "text") for line in lines]
    if stage.changed:
        words = f"⇒ {stage.left.src} → {stage.left.dst}"
        box.lines += [(line, "changed") for line in folded(words, _COLUMNS, "  ")]
    return box


class _Panel:
    """A journey: title, diagrams, caption; ``right`` and ``bottom`` are where it ends."""

    def __init__(self, drawing: Drawing, x: float, y: float) -> None:
        self._drawing = drawing
        self._x = x
        self._number = 0
        self.right = x
        self.bottom = y

    def draw(self, journey: Journey, picture: Picture) -> None:
        self._words(title(journey), "text bold", 18)
        self._words(outcome(journey), "text bold", 18)
        for scene in picture.scenes:
            self._scene(scene)
        if picture.switched:
            self._switched(picture.switched)
        self.right = max(self.right, self._x + 2 * _LEAST + _GAP)
        columns = int((self.right - self._x) / CHAR)
        self.bottom += LINE / 2
        for words in decision(journey):
            for line in folded(words, columns, "  "):
                self._words(line, "text bold")
        for line in folded(sentence(journey), columns):
            self._words(line, "text")

    def _words(self, words: str, look: str, size: int = 14) -> None:
        self.bottom += LINE * size / 14
        self._drawing.text(self._x, self.bottom, words, look, size=size)
        self.right = max(self.right, self._x + text_width(words) * size / 14)

    def _boxes(self, scene: Scene) -> dict[str, _Box]:
        """The hooks, the routing decision and the local process, numbered in the order of the packet."""
        order = [stage.hook for stage in scene.stages]
        boxes = {
            hook: _box(hook, scene.stage(hook), self._number + order.index(hook) + 1 if hook in order else 0)
            for hook in HOOKS
        }
        self._number += len(order)
        first = self._number - len(order) + 1
        names = [("from", scene.sender), ("to", scene.taker)]
        lines = ["local process", *(f"{word} {name}" for word, name in names if name)]
        used = len(lines) > 1 or (order[-1] == "input" and not scene.stages[-1].stopped)
        boxes["process"] = _Box(
            "container" if used else "idle",
            [(line, "text" if used else "dim") for line in lines],
            number=first - 0.5 if order[0] == "output" else self._number + 0.5,
        )
        asked = "prerouting" in order and not (order[-1] == "prerouting" and scene.stages[-1].stopped)
        boxes["routing"] = _Box(
            "passed" if asked else "idle",
            [("routing decision", "text" if asked else "dim")],
            number=boxes["prerouting"].number + 0.5,
        )
        return boxes

    def _scene(self, scene: Scene) -> None:
        boxes = self._boxes(scene)
        top = self.bottom + 1.5 * LINE
        with self._drawing.stage(self._number - len(scene.stages) + 0.4):
            self._drawing.text(self._x, top, scene.title, "dim")
        self._place(boxes, top + LINE / 2 + (_GAP if scene.stages[0].hook == "prerouting" else 0))
        self._ways(scene, boxes)
        for box in boxes.values():
            box.draw(self._drawing)
        self._labels(scene, boxes)
        self.bottom = boxes["postrouting"].bottom + _GAP + LINE
        self.right = max(self.right, *(box.x + box.width for box in boxes.values()))

    def _place(self, boxes: dict[str, _Box], y: float) -> None:
        """The left column begins at ``y``; no box is above one that leads to it."""
        x = self._x
        for column in (_LEFT, _RIGHT):
            wide = max(box.least for name, box in boxes.items() if name in column)
            for name in column:
                boxes[name].x, boxes[name].width = x, wide
            x += wide + _GAP
        pre, routing, forward, post = (boxes[name] for name in _LEFT)
        come, process, output = (boxes[name] for name in _RIGHT)
        pre.y = y
        routing.y = come.y = pre.bottom + _GAP
        process.y = come.bottom + _GAP
        output.y = process.bottom + _GAP
        forward.y = max(routing.bottom + _GAP, process.y)
        post.y = max(forward.bottom, output.bottom) + _GAP

    def _ways(self, scene: Scene, boxes: dict[str, _Box]) -> None:
        """The lines between the hooks: those that were taken are heavy, with a head."""
        taken = _taken(scene)
        for way, points in _lines(boxes).items():
            if way in taken:
                self._drawing.arrow(points)
            elif way not in (("postrouting", "prerouting"), ("in", "prerouting")):
                self._drawing.line(points, "unused")

    def _labels(self, scene: Scene, boxes: dict[str, _Box]) -> None:
        """The addresses where the packet comes from, and what became of it at the end."""
        first, last = scene.stages[0], scene.stages[-1]
        start, end = boxes[first.hook], boxes[last.hook]
        self._label(
            start.number - 0.4,
            start.middle + 10,
            start.y - _GAP / 2 + 5,
            f"{first.came.src} → {first.came.dst}",
        )
        if last.stopped:
            self._label(self._number + 0.6, end.middle + 10, end.bottom + LINE, "✕ dropped here", "text bold")
        elif scene.ended:
            after = {"prerouting": "routing", "input": "process"}.get(last.hook, last.hook)
            for number, line in enumerate(folded(f"✕ {scene.ended}", _COLUMNS, "  "), 1):
                x, y = boxes[after].x + 10, boxes[after].bottom + number * LINE
                self._label(self._number + 0.6, x, y, line, "text bold")
        elif last.hook == "postrouting" and last.oif:
            y = end.bottom + _GAP / 2 + 5
            self._label(self._number + 0.6, end.middle + 10, y, f"out by {last.oif}")

    def _label(self, stage: float, x: float, y: float, words: str, look: str = "text") -> None:
        with self._drawing.stage(stage):
            self._drawing.text(x, y, words, look, size=12)
        self.right = max(self.right, x + text_width(words) * 12 / 14)

    def _switched(self, stages: Sequence[Stage]) -> None:
        """The hooks of a bridge, one below the other."""
        self.bottom += 1.5 * LINE
        with self._drawing.stage(self._number + 0.7):
            self._drawing.text(self._x, self.bottom, "switched by a bridge, port to port", "dim")
        y = self.bottom + LINE / 2
        before: _Box | None = None
        for stage in stages:
            self._number += 1
            box = _box(f"bridge {stage.hook}", stage, self._number)
            box.x, box.y = self._x, y
            box.width = box.least
            if before is not None:
                self._drawing.arrow([(before.middle, before.bottom), (before.middle, box.y)])
            box.draw(self._drawing)
            before, y = box, box.bottom + _GAP
            self.bottom = box.bottom + LINE


_Way = tuple[str, str]


def _taken(scene: Scene) -> set[_Way]:
    """The lines of the diagram that the packet took."""
    hooks = [stage.hook for stage in scene.stages]
    ways: set[_Way] = {("in", "prerouting") if hooks[0] == "prerouting" else ("process", hooks[0])}
    for one, other in pairwise(hooks):
        if one == "prerouting":
            ways |= {("prerouting", "routing"), ("routing", other)}
        else:
            ways.add((one, other))
    if not scene.stages[-1].stopped:
        ways.add(
            {"input": ("input", "process"), "prerouting": ("prerouting", "routing")}.get(
                hooks[-1], ("postrouting", "out")
            )
        )
    return ways


def _lines(boxes: dict[str, _Box]) -> dict[_Way, list[Point]]:
    """Every line of the diagram: from, to → its points."""

    def down(start: str, end: str) -> list[Point]:
        return [(boxes[start].middle, boxes[start].bottom), (boxes[end].middle, boxes[end].y)]

    pre, post, output = boxes["prerouting"], boxes["postrouting"], boxes["output"]
    routing = boxes["routing"]
    across = routing.y + routing.height / 2
    join, back = post.y + post.height / 2, pre.y + pre.height / 2
    margin = post.x - 12
    return {
        ("in", "prerouting"): [(pre.middle, pre.y - _GAP + 6), (pre.middle, pre.y)],
        ("prerouting", "routing"): down("prerouting", "routing"),
        ("routing", "input"): [(routing.x + routing.width, across), (boxes["input"].x, across)],
        ("routing", "forward"): down("routing", "forward"),
        ("input", "process"): down("input", "process"),
        ("process", "output"): down("process", "output"),
        ("forward", "postrouting"): down("forward", "postrouting"),
        ("output", "postrouting"): [
            (output.middle, output.bottom), (output.middle, join), (post.x + post.width, join),
        ],
        ("postrouting", "out"): [(post.middle, post.bottom), (post.middle, post.bottom + _GAP - 6)],
        ("postrouting", "prerouting"): [
            (post.x, join), (margin, join), (margin, back), (pre.x, back),
        ],
    }  # fmt: skip
