"""Read a lesson file; every problem has its file, line and column, as in a scenario."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from netlab.lesson.lesson import (
    Build,
    Choice,
    Cost,
    Do,
    Lesson,
    Measure,
    Predict,
    Show,
    Step,
    Task,
    Tell,
    Words,
)
from netlab.lesson.shapes import LANGUAGES, LESSON, STEPS
from netlab.model.expectation import Expectation, ScenarioEvent
from netlab.model.family import FAMILIES, Family
from netlab.model.problem import ScenarioError
from netlab.scenario.events import made_by, parse_event
from netlab.scenario.expect import read_expectations
from netlab.scenario.reader import read
from netlab.scenario.tree import Report, Value, made, shown

#: Connections over each family, if a step does not say how many.
_COUNT = 200


def lessons() -> dict[str, str]:
    """The lessons that come with netlab, in their order: name → path."""
    folder = Path(__file__).parent / "lessons"
    files = sorted(path for path in folder.iterdir() if path.suffix == ".yaml")
    return {path.stem.partition("-")[2]: str(path) for path in files}


def read_lesson(content: bytes, file: str) -> Lesson:
    """A lesson from the bytes of its file; ``file`` is its name in messages. Raises ScenarioError."""
    report = Report()
    tree = LESSON.clean(read(content, file), "lesson", report)
    report.raise_if_any()
    assert tree is not None
    reader = _Reader(report)
    steps: list[Step] = [_build(tree, "scenario")]
    steps += filter(None, map(reader.step, tree.map["steps"]))
    report.raise_if_any()
    return Lesson(Path(file).stem, _words(tree.map["title"]), tuple(steps))


class _Reader:
    """Reads steps one after the other: a flow after an event means what it means by then."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._chains: frozenset[str] = frozenset()
        self._after: tuple[ScenarioEvent, ...] = ()

    def step(self, value: Value) -> Step | None:
        """One step; None if something is wrong with it."""
        (kind,) = (key for key in STEPS if key in value.map)
        made: Step | None = getattr(self, f"_{kind}")(value, value.map[kind])
        return made

    def _tell(self, value: Value, words: Value) -> Tell:
        return Tell(value.position, _words(words))

    def _build(self, value: Value, _: Value) -> Build:
        self._after, self._chains = (), frozenset()
        return _build(value, "build")

    def _predict(self, value: Value, words: Value) -> Predict | None:
        family = Family(int(value.map["family"].text[-1]))
        choices = []
        for choice in value.map["choices"]:
            if choice.get("expect") is None:
                self._report.add(choice.at, "a choice needs the key 'expect'")
                continue
            if not any(choice.get(language) for language in LANGUAGES):
                self._report.add(choice.at, f"a choice needs a text: one of {', '.join(LANGUAGES)}")
                continue
            item = Value({"flow": value.map["flow"], family.word: choice.map["expect"]}, choice.at)
            found = self._expectations(item)
            choices += [Choice(_words(choice), one) for one in found]
        return Predict(value.position, _words(words), family, tuple(choices)) if choices else None

    def _measure(self, value: Value, flow: Value) -> Measure:
        sides = {key: side for key, side in value.map.items() if key != "measure"}
        item = Value({"flow": flow, **sides}, value.at, keys=value.keys)
        return Measure(value.position, self._expectations(item))

    def _show(self, value: Value, command: Value) -> Show:
        has, lacks = _texts(value, "has"), _texts(value, "lacks")
        if not has and not lacks:
            self._report.add(value.at, "a command shows something that the lesson says: add 'has' or 'lacks'")
        argv = tuple(word.text for word in command)
        return Show(value.position, _node(value), argv, has, lacks)

    def _do(self, value: Value, lines: Value) -> Do:
        return Do(value.position, self._events(lines))

    def _task(self, value: Value, words: Value) -> Task:
        hint = value.get("hint")
        solution = self._events(value.map["solution"])
        return Task(
            value.position, _words(words), _node(value), None if hint is None else _words(hint), solution,
            tuple(one for item in value.map["expect"] for one in self._expectations(item)),
        )  # fmt: skip

    def _cost(self, value: Value, flow: Value) -> Cost | None:
        proxied = frozenset(family for family in FAMILIES if family.word in _texts(value, "proxied"))
        sides = {family: made("ok proxy" if family in proxied else "ok", flow.at) for family in FAMILIES}
        item = Value({"flow": flow, **{family.word: side for family, side in sides.items()}}, value.at)
        for expectation in self._expectations(item):
            pattern = expectation.pattern
            if (
                len(pattern.origins) == 1
                and pattern.ports
                and pattern.port_count == 1
                and pattern.protocol == "tcp"
            ):
                count = value.get("count")
                return Cost(value.position, expectation, count.number if count else _COUNT, proxied)
            self._report.add(flow.at, f"cost: {shown(flow.text)} is not one flow of TCP to one port")
        return None

    def _events(self, lines: Value) -> tuple[ScenarioEvent, ...]:
        found = []
        for line in lines:
            try:
                event = parse_event(line.text, line.position, self._chains)
            except ScenarioError as error:
                self._report.problems.extend(error.problems)
                continue
            self._chains |= made_by(event)
            found.append(event)
        self._after += tuple(found)
        return tuple(found)

    def _expectations(self, item: Value) -> tuple[Expectation, ...]:
        flows, _ = read_expectations(Value([item], item.at), self._chains, self._report)
        return tuple(replace(expectation, after=self._after) for expectation, _ in flows)


def _words(value: Value) -> Words:
    return Words({key: value.map[key].text.strip() for key in LANGUAGES if value.get(key) is not None})


def _node(value: Value) -> str:
    node = value.get("node")
    return "host" if node is None else node.text


def _build(value: Value, key: str) -> Build:
    engine, firewall = value.get("engine"), value.get("firewall")
    return Build(
        value.map[key].position,
        value.map[key].text,
        None if engine is None else engine.text,
        None if firewall is None else firewall.text,
        _texts(value, "daemon"),
    )


def _texts(value: Value, key: str) -> tuple[str, ...]:
    """The items of a list, as texts; none if the key is absent."""
    return tuple(one.text for one in value.get(key) or ())
