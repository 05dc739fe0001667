"""From bytes to a tree: YAML as Compose reads it, with a bound on everything.

Scalars get the types that YAML 1.2 (and Compose's own YAML library) gives them: ``22:22`` is a string and
so are ``yes`` and ``off``; ``0o17``, ``017`` and ``0x1f`` are numbers. Events are used instead of nodes, so
that deep nesting cannot exhaust a stack and every key keeps its place.
"""

from __future__ import annotations

import contextlib
import re
from typing import Any, Literal, NamedTuple

import yaml

from netlab.model.problem import Position, Problem, ScenarioError
from netlab.scenario.tree import Data, Mark, Report, Scalar, Value, shown

FILE_LIMIT = 64 << 20  #: bytes in a file
DEPTH_LIMIT = 64  #: levels of nesting
TOO_DEEP = f"nested more than {DEPTH_LIMIT} levels deep"
EXPANSION_LIMIT = 200_000  #: nodes after aliases are followed, unless the file itself is that long
EXPANSION_RATIO = 10

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_FLAGS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NUMBER_START = frozenset("+-.0123456789")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)\Z")
_BASED = re.compile(r"([-+]?)0(?:[xX]([0-9a-fA-F_]+)|[oO]?([0-7_]+)|[bB]([01_]+))\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SPECIAL = {".inf": float("inf"), "+.inf": float("inf"), "-.inf": float("-inf"), ".nan": float("nan")}
_LONG = 40  #: no number is longer; anything longer is text
_CORE = "tag:yaml.org,2002:"
_OWN_TAGS: dict[str, Literal["reset", "override"]] = {"!reset": "reset", "!override": "override"}


def decode(content: bytes, file: str) -> str:
    """Decode UTF-8 without its byte order mark; raises ScenarioError at the first invalid byte."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        message = f"not UTF-8 text: byte 0x{content[error.start]:02x}"
        raise ScenarioError([Problem(Position(file, line, column), message)]) from error
    return text


def read(content: bytes, file: str) -> Value:
    """The one document in ``content``; raises ScenarioError as :func:`read_all`, and for a second one."""
    first, *more = read_all(content, file)
    if more:
        raise ScenarioError([Problem(more[0].position, "a second YAML document, where one is expected")])
    return first


def read_all(content: bytes, file: str) -> tuple[Value, ...]:
    """The documents in ``content``; an anchor is also known in the documents after it, as in Compose.

    Raises ScenarioError with a position for each problem.
    """
    text = decode(content, file)
    bad = _UNPRINTABLE.search(text)
    if bad:
        line = text.count("\n", 0, bad.start()) + 1
        column = bad.start() - (text.rfind("\n", 0, bad.start()) + 1) + 1
        message = f"control character {bad.group()!a} in the text"
        raise ScenarioError([Problem(Position(file, line, column), message)])
    return _Builder(text, file).read()


def scalar(text: str) -> Scalar:
    """The type that YAML 1.2's core schema gives to a plain scalar, with the old octal that Compose takes."""
    if text in _NULLS:
        return None
    if text in _FLAGS:
        return _FLAGS[text]
    if text[0] in _NUMBER_START and len(text) <= _LONG:
        if _DECIMAL.match(text):
            return int(text.replace("_", ""))
        based = _BASED.match(text)
        if based:
            sign, hexadecimal, octal, binary = based.groups()
            digits, base = (hexadecimal, 16) if hexadecimal else (octal, 8) if octal else (binary, 2)
            digits = digits.replace("_", "")
            if digits:
                return int(sign + digits, base)
        if _FLOAT.match(text):
            return float(text)
        return _SPECIAL.get(text.lower(), text)
    return text


class _Frame(NamedTuple):
    """A list or a mapping that is still open."""

    value: Value
    anchor: str | None
    #: [key, its mark or None, whether it is a merge key, nodes in it so far, levels below it so far]
    state: list[Any]
    merges: list[tuple[int, Value]]


class _Builder:
    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.report = Report()
        self.anchors: dict[str, tuple[Value, int, int] | None] = {}
        self.stack: list[_Frame] = []
        self.nodes = 0
        self.expanded = 0
        self.documents: list[Value] = []

    def read(self) -> tuple[Value, ...]:
        loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)(self.text)
        try:
            while (event := loader.get_event()) is not None:
                kind = type(event)
                if kind is yaml.ScalarEvent:
                    self._scalar(event)
                elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                    self._open(event, {} if kind is yaml.MappingStartEvent else [])
                elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                    self._close()
                elif kind is yaml.AliasEvent:
                    self._alias(event)
                elif kind is yaml.StreamEndEvent:
                    break
        except yaml.MarkedYAMLError as error:
            self._fail(self._error_mark(error), self._wording(error))
        except yaml.YAMLError as error:
            self._fail((self.file, 1, 1), f"not YAML: {str(error).splitlines()[0]}")
        self.report.raise_if_any()
        if all(document.data is None for document in self.documents):
            self._fail((self.file, 1, 1), "the file is empty")
        return tuple(self.documents)

    # -- events

    def _scalar(self, event: Any) -> None:
        at = self._mark(event)
        text: str = event.value
        if "\0" in text:
            self.report.add(at, "a NUL character, which no name, path or argument can hold")
        own, data = self._tagged(event, at, text)
        inner: Mark | None = None
        if not event.style:
            inner = at
        elif event.style in "'\"":
            inner = (at[0], at[1], at[2] + 1)
        if inner and event.start_mark.line != event.end_mark.line:
            inner = None
        value = Value(data, at, raw=text, inner=inner, tag=own)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1, 0)
        plain = not event.style and event.tag is None
        self._put(value, 1, 0, is_merge=plain and text == "<<")

    def _tagged(self, event: Any, at: Mark, text: str) -> tuple[Literal["reset", "override"] | None, Scalar]:
        tag = event.tag
        if tag is None or tag in _OWN_TAGS:
            own = _OWN_TAGS.get(tag) if tag else None
            return own, scalar(text) if not event.style else text
        name = tag.removeprefix(_CORE)
        if name in ("str", "binary", "timestamp", "!"):
            return None, text
        typed = scalar(text)
        wanted: Any = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}.get(name)
        if wanted is None:
            self.report.add(at, f"unknown YAML tag {shown(tag)}")
        elif not isinstance(typed, wanted) or (isinstance(typed, bool) and name != "bool"):
            self.report.add(at, f"{shown(text)} is not !!{name}")
        return None, typed

    def _open(self, event: Any, data: Data) -> None:
        at = self._mark(event)
        if len(self.stack) >= DEPTH_LIMIT:
            self._fail(at, TOO_DEEP)
        tag = event.tag
        own: Literal["reset", "override"] | None = None
        if tag is not None and tag not in (f"{_CORE}map", f"{_CORE}seq", "!"):
            own = _OWN_TAGS.get(tag)
            if own is None:
                self.report.add(at, f"unknown YAML tag {shown(tag)}")
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Frame(Value(data, at, tag=own), event.anchor, [None, None, False, 1, 1], []))

    def _close(self) -> None:
        frame = self.stack.pop()
        if isinstance(frame.value.data, dict):
            self._merge(frame)
        weight, height = frame.state[3:]
        if frame.anchor:
            self.anchors[frame.anchor] = (frame.value, weight, height)
        self._put(frame.value, weight, height)

    def _alias(self, event: Any) -> None:
        at = self._mark(event)
        found = self.anchors.get(event.anchor, ...)
        if found is ...:
            self._fail(at, f"alias *{event.anchor} has no anchor before it")
        if found is None:
            self._fail(at, f"alias *{event.anchor} is inside its own anchor")
        assert isinstance(found, tuple)
        self._put(*found, alias=at)

    # -- the tree

    def _put(
        self, value: Value, weight: int, height: int, *, is_merge: bool = False, alias: Mark | None = None
    ) -> None:
        self.nodes += 1
        self.expanded += weight if alias else 1
        if self.expanded > EXPANSION_LIMIT and self.expanded > EXPANSION_RATIO * self.nodes:
            self._fail(alias or value.at, "the aliases of this file expand without limit")
        if not self.stack:
            self.documents.append(value)
            return
        if len(self.stack) + height > DEPTH_LIMIT:
            self._fail(alias or value.at, TOO_DEEP)
        frame = self.stack[-1]
        frame.state[3] += weight
        frame.state[4] = max(frame.state[4], height + 1)
        data = frame.value.data
        if isinstance(data, list):
            data.append(value)
            return
        assert isinstance(data, dict)
        key, key_mark, merging = frame.state[:3]
        if key_mark is None:
            frame.state[0], frame.state[1] = self._key(value, alias or value.at)
            frame.state[2] = is_merge
            return
        frame.state[1] = None
        if merging:
            frame.merges.append((len(data), value))
        elif key in data:
            line = frame.value.keys[key][1]
            self.report.add(key_mark, f"the key {shown(key)} is already on line {line}")
        else:
            data[key] = value
            frame.value.keys[key] = key_mark

    def _key(self, value: Value, at: Mark) -> tuple[str, Mark]:
        if isinstance(value.data, str):
            return value.data, at
        if isinstance(value.data, list | dict):
            self.report.add(at, f"a key must be a string, not {value.kind}")
            return "", at
        self.report.add(
            at, f"a key must be a string, not {value.kind}: put {shown(value.raw or '')} in quotes"
        )
        return value.raw or "", at

    def _merge(self, frame: _Frame) -> None:
        """Merge keys: a mapping's own entries win, and an earlier source wins over a later one."""
        if not frame.merges:
            return
        own = list(frame.value.map.items())
        data: dict[str, Value] = {}
        keys = frame.value.keys
        taken = {key for key, _ in own}
        done = 0
        for index, source in frame.merges:
            data.update(own[done:index])
            done = index
            for mapping in source if isinstance(source.data, list) else (source,):
                if not isinstance(mapping.data, dict):
                    self.report.add(mapping.at, f"<< takes a mapping or a list of them, not {mapping.kind}")
                for key, value in mapping.pairs():
                    if key not in taken:
                        taken.add(key)
                        data[key] = value
                        keys[key] = mapping.key_at(key)
        data.update(own[done:])
        frame.value.data = data

    # -- positions and errors

    def _mark(self, event: Any) -> Mark:
        mark = event.start_mark
        return (self.file, mark.line + 1, mark.column + 1)

    def _error_mark(self, error: Any) -> Mark:
        mark = error.problem_mark or error.context_mark
        return (self.file, mark.line + 1, mark.column + 1) if mark else (self.file, 1, 1)

    def _wording(self, error: Any) -> str:
        if error.problem == "exceeded maximum nesting depth":  # a limit of newer libyaml's own
            return TOO_DEEP
        mark = error.problem_mark
        if mark is not None:
            line = ""
            with contextlib.suppress(IndexError):
                line = self.text.splitlines()[mark.line]
            if line[mark.column : mark.column + 1] == "\t" or "\t" in line[: mark.column].strip(" "):
                return "not YAML: a tab cannot be used to indent"
        words = [word for word in (error.context, error.problem) if word]
        return "not YAML: " + ", ".join(words)

    def _fail(self, at: Mark, message: str) -> None:
        self.report.add(at, message)
        self.report.raise_if_any()
