"""A lesson: labs to build, and the steps through them. Every text is in one language or more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netlab.model.expectation import Expectation, ScenarioEvent
from netlab.model.family import Family
from netlab.model.problem import Position


@dataclass(frozen=True, slots=True)
class Words:
    """A text by language: ``en``, ``ja``."""

    by_language: Mapping[str, str]

    def of(self, language: str) -> str:
        """In this language, or else in the first that there is."""
        return self.by_language.get(language) or next(iter(self.by_language.values()))


@dataclass(frozen=True, slots=True)
class Build:
    """A new lab: a scenario's file as written, and what replaces the engine, settings and firewall in it."""

    position: Position
    scenario: str
    engine: str | None = None
    firewall: str | None = None
    daemon: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tell:
    """Something to read."""

    position: Position
    words: Words


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer to choose, and the expectation that a measurement meets if the answer is right."""

    words: Words
    expectation: Expectation


@dataclass(frozen=True, slots=True)
class Predict:
    """A question about one flow and family. The measurement that follows tells which answer is right."""

    position: Position
    words: Words
    family: Family
    choices: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure flows, show their journeys, and compare them with what the lesson says of them."""

    position: Position
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class Show:
    """Run a command in a node and show its output, which must have and lack certain texts."""

    position: Position
    node: str
    argv: tuple[str, ...]
    has: tuple[str, ...]
    lacks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Do:
    """Change the lab by events, in the words of ``netlab do``."""

    position: Position
    events: tuple[ScenarioEvent, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """Something for the learner to do in a shell of ``node``; the expectations say whether it is done.

    ``solution`` does it, as events.
    """

    position: Position
    words: Words
    node: str
    hint: Words | None
    solution: tuple[ScenarioEvent, ...]
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """Connect ``count`` times over each family, and compare the time and the work of the userland proxy.

    ``expectation`` has one flow of TCP over both families. ``proxied`` are the families whose connections go
    through the proxy; over the others it must stay idle.
    """

    position: Position
    expectation: Expectation
    count: int
    proxied: frozenset[Family]


Step = Build | Tell | Predict | Measure | Show | Do | Task | Cost


@dataclass(frozen=True, slots=True)
class Lesson:
    """A lesson; its first step builds a lab."""

    name: str
    title: Words
    steps: tuple[Step, ...]
