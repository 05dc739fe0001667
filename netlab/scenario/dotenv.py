"""``.env`` files, in the dialect that Compose reads.

Source: the Compose specification (".env file syntax") and compose-go's ``dotenv`` package: ``KEY=VALUE`` or
``KEY: VALUE``, ``export``, comments, three ways to quote, values over several lines, interpolation outside
of single quotes, and ``KEY`` alone for "as in the environment".
"""

from __future__ import annotations

import re

from netlab.model.problem import Position, Problem, ScenarioError
from netlab.scenario.interpolate import Lookup, TemplateError, substitute
from netlab.scenario.tree import shown

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_EXPORT = re.compile(r"export[ \t]+")
_KEY = re.compile(r"([A-Za-z0-9_.\-\[\]]+)[ \t\r]*([=:]?)[ \t\v\f\r]*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def parse(text: str, file: str, lookup: Lookup) -> dict[str, str]:
    """The variables of a file, in order; ``lookup`` is the environment, which wins over the file.

    Raises ScenarioError at the first place that cannot be read.
    """
    return _Parser(text, file, lookup).parse()


class _Parser:
    def __init__(self, text: str, file: str, lookup: Lookup) -> None:
        self.text = text
        self.file = file
        self.environment = lookup
        self.found: dict[str, str] = {}
        self.at = 0

    def parse(self) -> dict[str, str]:
        while True:
            self._skip(_BLANK)
            if self.at >= len(self.text):
                return self.found
            self._skip(_EXPORT)
            self._statement()

    def _statement(self) -> None:
        match = _KEY.match(self.text, self.at)
        if not match:
            line = self.text[self.at :].split("\n", 1)[0]
            self._fail(self.at, f"{shown(line)} is not KEY=VALUE")
        assert match
        key, sign = match.groups()
        start, self.at = self.at, match.end()
        if not sign:
            if self.at < len(self.text) and self.text[self.at] not in "\n#":
                line = self.text[start:].split("\n", 1)[0]
                self._fail(self.at, f"{shown(line)} is not KEY=VALUE")
            inherited = self.environment(key)
            if inherited is not None:
                self.found[key] = inherited
            return
        self.found[key] = self._value()

    def _value(self) -> str:
        quote = self.text[self.at : self.at + 1]
        if quote in ("'", '"'):
            return self._quoted(quote)
        start = self.at
        end = self.text.find("\n", start)
        self.at = len(self.text) if end < 0 else end
        line = self.text[start : self.at]
        value = "" if line.startswith("#") else re.split(r"\s#", line, maxsplit=1)[0].rstrip()
        return self._expand(value, start)

    def _quoted(self, quote: str) -> str:
        start = self.at
        at = start + 1
        while at < len(self.text) and self.text[at] != quote:
            at += 2 if self.text[at] == "\\" else 1
        if at >= len(self.text):
            self._fail(start, "the quoted value has no end")
        value = self.text[start + 1 : at]
        self.at = at + 1
        rest = self.text[self.at :].split("\n", 1)[0].strip()
        if rest and not rest.startswith("#"):
            self._fail(self.at, f"{shown(rest)} follows the closing quote")
        self.at += len(self.text[self.at :].split("\n", 1)[0])
        if quote == "'":
            return value.replace("\\'", "'")
        return self._expand(_ESCAPE.sub(_unescaped, value), start)

    def _expand(self, value: str, start: int) -> str:
        try:
            return substitute(value, self._lookup)
        except TemplateError as error:
            self._fail(start, str(error))
            raise

    def _lookup(self, name: str) -> str | None:
        outside = self.environment(name)
        return self.found.get(name) if outside is None else outside

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()

    def _fail(self, at: int, message: str) -> None:
        before = self.text[:at]
        line, column = before.count("\n") + 1, at - before.rfind("\n")
        raise ScenarioError([Problem(Position(self.file, line, column), message)])


def _unescaped(match: re.Match[str]) -> str:
    """Escape sequences such as backslash n; an escaped dollar sign is not interpolated."""
    character = match[1]
    if character == "$":
        return "$$"
    return _ESCAPES.get(character, character if character in "\"\\'" else match[0])
