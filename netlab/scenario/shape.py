"""Shapes: one declaration gives both the check of a file and its JSON schema.

:meth:`Shape.clean` reports wrong values and removes them, so that later code can rely on the shape;
:meth:`Shape.schema` expresses the same in JSON Schema (draft 2020-12).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netlab.model.scenario import JsonValue
from netlab.scenario.tree import Report, Value, hint, shown

Schema = dict[str, JsonValue]


#: what Compose turns into a boolean after interpolation
_FLAG_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "on", "1", "t"), True),
    **dict.fromkeys(("false", "no", "n", "off", "0", "f"), False),
}


#: the control characters of Unicode (C0, DEL, C1) and its two separators of lines
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def controlled(text: str) -> str | None:
    """What is wrong with a value that may end up in a file, a name or an option; None if nothing is.

    A newline in one would be a line of the author's own in a container's resolv.conf, for example.
    """
    if _CONTROL.search(text):
        return f"{shown(text)} has a control character, which is not allowed in a file or a name"
    return None


class Shape:
    """What a value may be."""

    #: for messages: "a list of ports"
    expects = "anything"

    def clean(self, value: Value, path: str, report: Report) -> Value | None:
        """Report and remove wrong parts of the value; None if nothing remains."""
        if self._takes(value):
            return self._inside(value, path, report)
        report.add(value.at, f"{path} must be {self.expects}, not {_found(value)}", path)
        return None

    def schema(self) -> Schema:
        """The JSON schema."""
        return self._schema()

    def _takes(self, value: Value) -> bool:
        """Whether the value is of the right kind, so that :meth:`examine` applies."""
        del value
        return True

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        """Like :meth:`clean`, for a value of the right kind."""
        del path, report
        return value

    def _schema(self) -> Schema:
        return {}


class Anything(Shape):
    """Any value; netlab does not check it."""


@dataclass(frozen=True)
class Nothing(Shape):
    """YAML's null: the key alone."""

    expects = "nothing"

    def _takes(self, value: Value) -> bool:
        return value.data is None

    def _schema(self) -> Schema:
        return {"type": "null"}


@dataclass(frozen=True)
class Text(Shape):
    """A string. ``check`` returns what is wrong with one, or None; ``pattern`` is the schema's.

    ``free``: control characters are allowed, because the text is never written to a file, such as a program's
    arguments.
    """

    expects: str = "a string"
    check: Callable[[str], str | None] | None = None
    pattern: str | None = None
    free: bool = False

    def _takes(self, value: Value) -> bool:
        return isinstance(value.data, str)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        text = value.text
        if self.pattern is not None and not re.search(self.pattern, text):
            report.add(value.at, f"{path} must be {self.expects}, not {shown(text)}", path)
            return None
        wrong = None if self.free else controlled(text)
        if wrong is None and self.check:
            wrong = self.check(text)
        if wrong:
            report.add(value.at, f"{path}: {wrong}", path)
            return None
        return value

    def _schema(self) -> Schema:
        made: Schema = {"type": "string"}
        if self.pattern:
            made["pattern"] = _for_javascript(self.pattern)
        return made


@dataclass(frozen=True)
class Atom(Shape):
    """A string, a number or a boolean (Compose's labels, driver options, sysctls); null if ``null``.

    ``free`` as for :class:`Text`.
    """

    null: bool = False
    expects: str = "a string or a number"
    free: bool = False

    def _takes(self, value: Value) -> bool:
        return not isinstance(value.data, list | dict) and (self.null or value.data is not None)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        wrong = controlled(value.data) if isinstance(value.data, str) and not self.free else None
        if wrong:
            report.add(value.at, f"{path}: {wrong}", path)
            return None
        return value

    def _schema(self) -> Schema:
        kinds: list[JsonValue] = ["string", "number", "boolean"]
        return {"type": kinds + (["null"] if self.null else [])}


@dataclass(frozen=True)
class Flag(Shape):
    """A boolean; ``lenient`` takes the strings that Compose turns into one after interpolation."""

    lenient: bool = False
    expects: str = "true or false"

    def _takes(self, value: Value) -> bool:
        if isinstance(value.data, bool):
            return True
        return self.lenient and isinstance(value.data, str) and value.data.lower() in _FLAG_WORDS

    def _inside(self, value: Value, path: str, report: Report) -> Value:
        del path, report
        return value if isinstance(value.data, bool) else value.with_data(_FLAG_WORDS[value.text.lower()])

    def _schema(self) -> Schema:
        return {"type": ["boolean", "string"] if self.lenient else "boolean"}


@dataclass(frozen=True)
class Whole(Shape):
    """An integer between two bounds, inclusive; ``lenient`` takes one in quotes as well."""

    low: int | None = None
    high: int | None = None
    lenient: bool = False
    expects: str = "a whole number"

    def _takes(self, value: Value) -> bool:
        if isinstance(value.data, str):
            return self.lenient and bool(re.fullmatch(r"[-+]?[0-9]{1,19}", value.data, re.ASCII))
        return isinstance(value.data, int) and not isinstance(value.data, bool)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        number = int(value.text)
        if (self.low is not None and number < self.low) or (self.high is not None and number > self.high):
            bounds = f"at least {self.low}" if self.high is None else f"between {self.low} and {self.high}"
            report.add(value.at, f"{path} must be {bounds}, not {number}", path)
            return None
        return value if isinstance(value.data, int) else value.with_data(number)

    def _schema(self) -> Schema:
        made: Schema = {"type": ["integer", "string"] if self.lenient else "integer"}
        if self.low is not None:
            made["minimum"] = self.low
        if self.high is not None:
            made["maximum"] = self.high
        return made


@dataclass(frozen=True)
class Choice(Shape):
    """One of some words."""

    words: tuple[str, ...]

    @property
    def expects(self) -> str:  # type: ignore[override]
        """The words."""
        return _either(self.words)

    def _takes(self, value: Value) -> bool:
        return isinstance(value.data, str)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        if value.text in self.words:
            return value
        suggestion = hint(value.text, self.words) or f": it is one of {', '.join(self.words)}"
        report.add(value.at, f"{path} cannot be {shown(value.text)}{suggestion}", path)
        return None

    def _schema(self) -> Schema:
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class ListOf(Shape):
    """A list, all of one shape; ``least`` items at least."""

    item: Shape
    expects: str = "a list"
    least: int = 0

    def _takes(self, value: Value) -> bool:
        return isinstance(value.data, list)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        if len(value.list) < self.least:
            report.add(value.at, f"{path} is empty", path)
            return None
        clean = self.item.clean
        items = [clean(item, f"{path}[{n}]", report) for n, item in enumerate(value.list)]
        return value.with_data([item for item in items if item is not None])

    def _schema(self) -> Schema:
        made: Schema = {"type": "array", "items": self.item._schema()}
        if self.least:
            made["minItems"] = self.least
        return made


@dataclass(frozen=True)
class MapOf(Shape):
    """A mapping with keys of the user's own choice, all values of one shape."""

    value: Shape
    key: str | None = None  #: pattern
    named: str = "a name"
    expects: str = "a mapping"
    #: what is wrong with a key that matches the pattern, or None
    check: Callable[[str], str | None] | None = field(default=None, compare=False)

    def _takes(self, value: Value) -> bool:
        return isinstance(value.data, dict)

    def _inside(self, value: Value, path: str, report: Report) -> Value:
        clean: dict[str, Value] = {}
        for key, entry in value.pairs():
            wrong = controlled(key)
            if wrong:
                report.add(value.key_at(key), f"{path}: {wrong}", path)
                continue
            if self.key is not None and not re.search(self.key, key):
                report.add(value.key_at(key), f"{path}: {shown(key)} is not {self.named}", f"{path}.{key}")
                continue
            wrong = self.check(key) if self.check is not None else None
            if wrong:
                report.add(value.key_at(key), f"{path}: {wrong}", f"{path}.{key}")
                continue
            kept = self.value.clean(entry, f"{path}.{key}", report)
            if kept is not None:
                clean[key] = kept
        return value.with_data(clean)

    def _schema(self) -> Schema:
        if self.key is None:
            return {"type": "object", "additionalProperties": self.value._schema()}
        return {
            "type": "object",
            "patternProperties": {_for_javascript(self.key): self.value._schema()},
            "additionalProperties": False,
        }


@dataclass(frozen=True)
class Field:
    """A key of a record: its shape and, for the schema, what it means."""

    shape: Shape
    about: str = ""
    required: bool = False


@dataclass(frozen=True)
class Record(Shape):
    """A mapping with known keys. ``extensions`` lets ``x-…`` pass; ``absent`` takes null for "not there"."""

    fields: Mapping[str, Field]
    expects: str = "a mapping"
    extensions: bool = False
    absent: bool = False
    filled: bool = False  #: at least one key
    #: says more of an unknown key than a suggestion could, or returns None
    explain: Callable[[str], str | None] | None = field(default=None, compare=False)

    def _takes(self, value: Value) -> bool:
        return isinstance(value.data, dict)

    def _inside(self, value: Value, path: str, report: Report) -> Value:
        clean: dict[str, Value] = {}
        if self.filled and not value.data:
            report.add(value.at, f"{path} is empty", path)
        for key, entry in value.pairs():
            known = self.fields.get(key)
            if known is None:
                if not (self.extensions and key.startswith("x-")):
                    self._unknown(key, value, path, report)
                continue
            if self.absent and entry.data is None:
                continue
            kept = known.shape.clean(entry, f"{path}.{key}" if path else key, report)
            if kept is not None:
                clean[key] = kept
        for key, known in self.fields.items():
            if known.required and key not in value.map:
                report.add(value.at, f"{path} needs the key {shown(key)}", path)
        return value.with_data(clean)

    def _unknown(self, key: str, value: Value, path: str, report: Report) -> None:
        more = (self.explain(key) if self.explain else None) or hint(key, self.fields)
        where = f" in {path}" if path else ""
        report.add(value.key_at(key), f"unknown key {shown(key)}{where}{more}", path)

    def _schema(self) -> Schema:
        properties: Schema = {}
        for key, known in self.fields.items():
            properties[key] = known.shape._schema() | ({"description": known.about} if known.about else {})
        made: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if self.extensions:
            made["patternProperties"] = {"^x-": {}}
        if self.filled:
            made["minProperties"] = 1
        required: list[JsonValue] = [key for key, known in self.fields.items() if known.required]
        return made | ({"required": required} if required else {})


class Either(Shape):
    """The first of several shapes that accepts this kind of value."""

    def __init__(self, *shapes: Shape) -> None:
        self.shapes = shapes
        self.expects = _either([shape.expects for shape in shapes if not isinstance(shape, Nothing)])

    def _takes(self, value: Value) -> bool:
        return any(shape._takes(value) for shape in self.shapes)

    def _inside(self, value: Value, path: str, report: Report) -> Value | None:
        for shape in self.shapes:
            if shape._takes(value):
                return shape._inside(value, path, report)
        return None

    def _schema(self) -> Schema:
        return {"anyOf": [shape._schema() for shape in self.shapes]}


def _for_javascript(pattern: str) -> str:
    """JSON Schema's regular expressions are ECMA-262's, which know no anchors but these."""
    return pattern.replace(r"\A", "^").replace(r"\Z", "$")


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _found(value: Value) -> str:
    if isinstance(value.data, str | int | float):
        return f"{value.kind} ({shown(value.text)})"
    return value.kind
