"""A YAML document as plain values with their positions, and the list of its problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from netlab.model.near import nearest
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.scenario import JsonValue

#: file, line and column (from 1): cheaper than a :class:`Position`, which is created only when needed
Mark = tuple[str, int, int]
Scalar = None | bool | int | float | str
Data = Scalar | list["Value"] | dict[str, "Value"]


class Value:
    """One YAML node: a scalar, a list or a mapping with string keys.

    ``raw`` is a scalar's text before YAML gave it a type; ``inner`` is the mark at which that text begins, if
    the file contains it literally (else None). ``keys`` holds the marks of a mapping's keys. ``tag`` is
    Compose's ``!reset`` or ``!override``. Aliases and files share values: never change a value, create a new
    one.
    """

    __slots__ = ("at", "data", "inner", "keys", "raw", "tag")

    def __init__(
        self,
        data: Data,
        at: Mark,
        *,
        raw: str | None = None,
        inner: Mark | None = None,
        keys: dict[str, Mark] | None = None,
        tag: Literal["reset", "override"] | None = None,
    ) -> None:
        self.data = data
        self.at = at
        self.raw = raw
        self.inner = inner
        self.keys: dict[str, Mark] = {} if keys is None else keys
        self.tag = tag

    @property
    def position(self) -> Position:
        """Its position, for messages."""
        return Position(*self.at)

    @property
    def kind(self) -> str:
        """What it is, in the words of an error message."""
        match self.data:
            case None:
                return "nothing"
            case bool():
                return "a boolean"
            case int() | float():
                return "a number"
            case str():
                return "a string"
            case list():
                return "a list"
            case _:
                return "a mapping"

    @property
    def map(self) -> dict[str, Value]:
        """The mapping; only for a value whose shape was checked."""
        assert isinstance(self.data, dict)
        return self.data

    @property
    def list(self) -> list[Value]:
        """The list; only for a value whose shape was checked."""
        assert isinstance(self.data, list)
        return self.data

    @property
    def text(self) -> str:
        """A scalar as a string (``true``, ``80``), as Compose turns one into text; nothing is empty."""
        if isinstance(self.data, str):
            return self.data
        if self.data is None:
            return ""
        if isinstance(self.data, bool):
            return "true" if self.data else "false"
        assert isinstance(self.data, int | float)
        return f"{self.data:g}" if isinstance(self.data, float) else str(self.data)

    @property
    def number(self) -> int:
        """The integer; only for a value whose shape was checked."""
        assert isinstance(self.data, int)
        return self.data

    @property
    def flag(self) -> bool:
        """The boolean; only for a value whose shape was checked."""
        assert isinstance(self.data, bool)
        return self.data

    def get(self, key: str) -> Value | None:
        """The value under ``key`` of a mapping, None if it is absent or null."""
        found = self.data.get(key) if isinstance(self.data, dict) else None
        return None if found is None or found.data is None else found

    def key_at(self, key: str) -> Mark:
        """The position of a key; that of the mapping if the key's is unknown."""
        return self.keys.get(key, self.at)

    def pairs(self) -> Iterator[tuple[str, Value]]:
        """The entries of a mapping; empty for any other value."""
        if isinstance(self.data, dict):
            yield from self.data.items()

    def __iter__(self) -> Iterator[Value]:
        """The items of a list; empty for any other value."""
        if isinstance(self.data, list):
            yield from self.data

    def with_data(self, data: Data, keys: dict[str, Mark] | None = None) -> Value:
        """The same place, other content."""
        return Value(data, self.at, raw=self.raw, keys=self.keys if keys is None else keys, tag=self.tag)

    def plain(self) -> JsonValue:
        """Without positions, as JSON would hold it."""
        if isinstance(self.data, dict):
            return {key: value.plain() for key, value in self.data.items()}
        if isinstance(self.data, list):
            return [value.plain() for value in self.data]
        return self.data

    def __repr__(self) -> str:
        return f"Value({self.plain()!r}, {self.position})"


def made(data: JsonValue, at: Mark) -> Value:
    """A tree from plain data, all of it at one place (an option of the command line, a default)."""
    if isinstance(data, dict):
        return Value({key: made(value, at) for key, value in data.items()}, at, keys=dict.fromkeys(data, at))
    if isinstance(data, list):
        return Value([made(value, at) for value in data], at)
    return Value(data, at)


class Report:
    """Collects all problems, so that the user sees them at once, and warnings.

    With ``lenient``, what netlab cannot reproduce is a warning.
    """

    __slots__ = ("_broken", "lenient", "problems", "warnings")

    def __init__(self, *, lenient: bool = False) -> None:
        self.lenient = lenient
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._broken: set[str] = set()

    def add(self, at: Mark | Position, message: str, path: str = "") -> None:
        """Note one problem; ``path`` is the place in the tree that cannot be relied on any more."""
        self.problems.append(Problem(at if isinstance(at, Position) else Position(*at), message))
        while path:
            self._broken.add(path)
            path = path.rpartition(".")[0]

    def warn(self, at: Mark | Position, message: str) -> None:
        """Add a warning."""
        self.warnings.append(Problem(at if isinstance(at, Position) else Position(*at), message))

    def unsupported(self, at: Mark | Position, message: str) -> None:
        """Note what netlab cannot reproduce: a problem, or with ``lenient`` a warning."""
        if self.lenient:
            self.warn(at, message)
        else:
            self.add(at, f"{message}; with --lenient the rest is built without it")

    def refuse(self, at: Mark | Position, where: str, reason: str, *, by: str = "Docker") -> None:
        """Note what Docker (or Compose) would refuse; ``reason`` is in its own words."""
        self.add(at, f"{where}: {by} refuses this: {reason}", where)

    def broken(self, path: str) -> bool:
        """Whether a problem was reported at ``path`` or below; something missing there may be a
        consequence.
        """
        return path in self._broken

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.problems)

    def raise_if_any(self) -> None:
        """Raise ScenarioError with all that was noted, in the order of the files."""
        if self.problems:
            raise ScenarioError(in_order(self.problems))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Each once, in the order of the files and of their lines."""
    unique = dict.fromkeys(problems)
    order = {file: n for n, file in enumerate(dict.fromkeys(p.position.file for p in unique))}
    return sorted(unique, key=lambda p: (order[p.position.file], p.position.line, p.position.column))


def hint(word: str, options: Iterable[str]) -> str:
    """A suggestion in brackets for a misspelt word, beginning with a space, or nothing."""
    known = list(dict.fromkeys(options))
    folded = {option.casefold().replace("_", "-"): option for option in known}
    close = nearest(word.casefold().replace("_", "-"), folded)
    return f" (did you mean {shown(folded[close])}?)" if close else ""


def shown(text: str, limit: int = 60) -> str:
    """A user's text in quotes for a message: one line, printable, not too long."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut) + '"'
