"""What may be given to :class:`netlab.Lab`: of another kind, an argument is refused by its name."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Collection, Mapping

from netlab.model.errors import UsageError


def check_kinds(arguments: Mapping[str, object]) -> None:
    """Raise UsageError for the first argument that is not of its kind; others are not looked at."""
    for name, value in arguments.items():
        if name in _KINDS:
            is_right, expected = _KINDS[name]
            if not is_right(value):
                raise UsageError(f"{name}: {reprlib.repr(value)} is not {expected}")


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _all_text(value: object) -> bool:
    return _is_list(value, lambda one: isinstance(one, str))


def _is_list(value: object, is_right: Callable[[object], bool]) -> bool:
    """A string is a collection too, of strings: never what was meant."""
    if not isinstance(value, Collection) or isinstance(value, (str, bytes, Mapping)):
        return False
    return all(map(is_right, value))


def _is_mapping(value: object, is_right: Callable[[object], bool]) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and is_right(one) for key, one in value.items()
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_TEXT = (_is_text, "a string")
_FLAG = (_is_flag, "True or False")
_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "engine": _TEXT,
    "firewall": _TEXT,
    "name": _TEXT,
    "project_name": _TEXT,
    "project_directory": (lambda value: value is None or _is_path(value), "a path"),
    "profiles": (_all_text, "a list of strings"),
    "env_files": (lambda value: _is_list(value, _is_path), "a list of paths"),
    "daemon": (
        lambda value: _is_mapping(value, lambda _: True) or _all_text(value),
        'a mapping, or a list of "KEY=VALUE"',
    ),
    "scale": (
        lambda value: _is_mapping(value, _is_number) or _all_text(value),
        'a mapping of services to numbers, or a list of "SERVICE=NUMBER"',
    ),
    "environ": (
        lambda value: value is None or _is_mapping(value, lambda one: isinstance(one, str)),
        "a mapping of strings to strings",
    ),
    "allow_outside_files": _FLAG,
    "allow_programs": _FLAG,
}
