"""Compose's interpolation: ``$VAR``, ``${VAR}``, ``:-  -  :?  ?  :+  +`` nested to any sane depth, ``$$``.

Source: the Compose specification ("Interpolation") and compose-go's ``template`` package. Values are
interpolated, keys are not. A variable that is not set and has no default is empty. A dollar sign before
anything else is literal, as in Compose 2.26.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from netlab.scenario.reader import scalar
from netlab.scenario.tree import Mark, Report, Value, shown

Lookup = Callable[[str], str | None]

_NAME = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_OPERATOR = re.compile(r":?[-?+]")
NESTING = 32


class TemplateError(ValueError):
    """A template that is not one, or a required variable that is missing; ``at`` counts from its start."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def substitute(text: str, lookup: Lookup) -> str:
    """``text`` with its variables replaced; raises TemplateError."""
    return _Template(text, lookup).expand(0, len(text), 0) if "$" in text else text


@dataclass(frozen=True, slots=True)
class _Template:
    text: str
    lookup: Lookup

    def expand(self, start: int, end: int, depth: int) -> str:
        if depth > NESTING:
            raise TemplateError(f"variables nested more than {NESTING} deep", start)
        out: list[str] = []
        at = start
        while (dollar := self.text.find("$", at, end)) >= 0:
            out.append(self.text[at:dollar])
            at = dollar + 1
            if self.text.startswith("$", at, end):
                out.append("$")
                at += 1
            elif self.text.startswith("{", at, end):
                close = self._closing(at, end, dollar)
                out.append(self._braced(at + 1, close, depth, dollar))
                at = close + 1
            else:
                name = _NAME.match(self.text, at, end)
                out.append("$" if name is None else self.lookup(name.group()) or "")
                at = at if name is None else name.end()
        out.append(self.text[at:end])
        return "".join(out)

    def _closing(self, brace: int, end: int, dollar: int) -> int:
        depth = 0
        for at in range(brace, end):
            if self.text[at] == "{":
                depth += 1
            elif self.text[at] == "}":
                depth -= 1
                if depth == 0:
                    return at
        self._invalid(dollar)
        return end

    def _braced(self, start: int, end: int, depth: int, dollar: int) -> str:
        name = _NAME.match(self.text, start, end)
        if not name:
            self._invalid(dollar)
        assert name
        value = self.lookup(name.group())
        if name.end() == end:
            return value or ""
        operator = _OPERATOR.match(self.text, name.end(), end)
        if not operator:
            self._invalid(dollar)
        assert operator
        rest = operator.end()
        present = value is not None and (value != "" or not operator.group().startswith(":"))
        kind = operator.group()[-1]
        if kind == "+":
            return self.expand(rest, end, depth + 1) if present else ""
        if present:
            return value or ""
        if kind == "-":
            return self.expand(rest, end, depth + 1)
        why = self.expand(rest, end, depth + 1)
        message = f"the variable {name.group()} is required" + (f": {why}" if why else " and not set")
        raise TemplateError(message, dollar)

    def _invalid(self, at: int) -> None:
        excerpt = shown(self.text[at : at + 30])
        raise TemplateError(f"{excerpt} is not a variable; write $$ for a dollar sign", at)


def interpolate(value: Value, lookup: Lookup, report: Report, *, retype: bool = False) -> Value:
    """Interpolate all strings of a tree; errors are reported and their strings left unchanged.

    ``retype``: the result of a plain scalar gets the type that YAML would give it. (Compose keeps a string
    and casts it by its own schema, which does not cover x-netlab.)
    """
    return _Walk(lookup, report, {}).visit(value, retype, 0)


@dataclass(frozen=True, slots=True)
class _Walk:
    lookup: Lookup
    report: Report
    #: aliases share one value, and so they share its result (and its problems)
    done: dict[tuple[int, bool], Value]

    def visit(self, value: Value, retype: bool, depth: int) -> Value:
        data = value.data
        if isinstance(data, str):
            return self._text(value, data, retype) if "$" in data else value
        if not isinstance(data, list | dict):
            return value
        known = self.done.get((id(value), retype))
        if known is not None:
            return known
        if isinstance(data, list):
            items = [self.visit(item, retype, depth + 1) for item in data]
            same = all(new is old for new, old in zip(items, data, strict=True))
            made = value if same else value.with_data(items)
        else:
            entries = {
                key: self.visit(entry, retype or (depth == 0 and key == "x-netlab"), depth + 1)
                for key, entry in data.items()
            }
            same = all(entries[key] is data[key] for key in data)
            made = value if same else value.with_data(entries)
        self.done[(id(value), retype)] = made
        return made

    def _text(self, value: Value, text: str, retype: bool) -> Value:
        try:
            result = substitute(text, self.lookup)
        except TemplateError as error:
            at: Mark = value.at
            if value.inner is not None:
                file, line, column = value.inner
                at = (file, line, column + error.at)
            self.report.add(at, str(error))
            return value
        plain = value.inner is not None and value.inner == value.at
        return Value(scalar(result) if retype and plain else result, value.at, raw=result, tag=value.tag)
