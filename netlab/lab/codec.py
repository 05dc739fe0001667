"""Encode a plan as JSON text and decode it, for the supervisor and for later commands.

A dataclass or a named tuple becomes ``{"ClassName": [field, …]}`` with its fields in order, a tuple a list,
an enum member its value; all else in a plan are scalars. A scenario and its events also contain lists and
mappings, which become ``{"list": […]}`` and ``{"dict": [[key, value], …]}``. The text depends only on the
plan, so its digest tells whether a running lab matches a scenario.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from operator import attrgetter
from types import MappingProxyType, ModuleType
from typing import Any

from netlab.model import expectation, family, flow, plan, problem, rules, scenario
from netlab.model.plan import Plan
from netlab.version import __version__

#: What many nodes may have in common.
SHARED = ("IptablesRuleset", "NftTable")


class _Encoder:
    """Turns one plan into lists and dicts; looks up the fields of each class once."""

    def __init__(self) -> None:
        self.names: dict[type, tuple[str, Callable[[Any], Any], bool]] = {}
        #: every ruleset, and the number of rulesets before it
        self.shared: dict[Any, int] = {}

    def encode(self, value: Any) -> Any:
        """``value`` as something that JSON can say."""
        kind = type(value)
        if kind is str or kind is int or value is None or kind is bool or kind is float:
            return value
        if kind is tuple:
            return [self.encode(item) for item in value]
        if kind is list:
            return {"list": [self.encode(item) for item in value]}
        if kind is dict:
            return {"dict": [[self.encode(key), self.encode(item)] for key, item in value.items()]}
        known = self.names.get(kind)
        if known is None:
            known = self.names[kind] = self._learn(kind)
        name, get, single = known
        if name in SHARED:
            if value in self.shared:
                return {"=": [self.shared[value]]}
            self.shared[value] = len(self.shared)
        values = (get(value),) if single else get(value)
        return {name: [self.encode(item) for item in values]}

    @staticmethod
    def _learn(kind: type) -> tuple[str, Callable[[Any], Any], bool]:
        if issubclass(kind, int):  # an IntEnum: Family is the only one
            return (kind.__name__, int, True)
        if issubclass(kind, str):  # the name of an option, in the place of a file
            return (kind.__name__, str, True)
        if issubclass(kind, tuple) and hasattr(kind, "_fields"):
            return (kind.__name__, tuple, False)
        if not is_dataclass(kind):
            raise TypeError(f"a plan cannot hold a {kind.__name__}")
        names = [field.name for field in fields(kind)]
        if not names:
            return (kind.__name__, lambda _: (), False)
        return (kind.__name__, attrgetter(*names), len(names) == 1)


def dumps(plan: Plan) -> str:
    """The plan as JSON text; the same plan gives the same text on every machine."""
    return json.dumps(_Encoder().encode(plan), ensure_ascii=False, separators=(",", ":"))


def encode(value: Any) -> Any:
    """A part of a plan (some listeners, say) as something that JSON can say; :func:`decode` undoes it."""
    return _Encoder().encode(value)


def classes_of(*modules: ModuleType) -> dict[str, Callable[..., Any]]:
    """The dataclasses and named tuples that modules define, by name."""
    found: dict[str, Callable[..., Any]] = {}
    for module in modules:
        for name, value in vars(module).items():
            mine = isinstance(value, type) and value.__module__ == module.__name__
            if mine and (is_dataclass(value) or hasattr(value, "_fields")):
                found[name] = value
    return found


def dump(value: Any) -> str:
    """:func:`encode`, as JSON text."""
    return json.dumps(encode(value), ensure_ascii=False, separators=(",", ":"))


def _list(*items: Any) -> list[Any]:
    return list(items)


def _dict(*items: tuple[str, Any]) -> dict[str, Any]:
    return dict(items)


#: Every class that a plan may hold, by name.
_CLASSES: dict[str, Callable[..., Any]] = {
    "Family": family.Family,
    "OptionName": problem.OptionName,
    "list": _list,
    "dict": _dict,
    **classes_of(expectation, flow, plan, problem, rules, scenario),
}


def decode(value: Any, more: Mapping[str, Callable[..., Any]] = MappingProxyType({})) -> Any:
    """What :func:`encode` encoded; ``more``: classes that no plan holds, by name.

    Raises KeyError, TypeError, ValueError, IndexError for what it did not encode.
    """
    seen: list[Any] = []
    known = {**_CLASSES, **more}

    def remembered(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*values: Any) -> Any:
            seen.append(make(*values))
            return seen[-1]

        return made

    shared = {name: remembered(known[name]) for name in SHARED}
    return _decode(value, {**known, **shared, "=": seen.__getitem__})


def _decode(value: Any, classes: dict[str, Callable[..., Any]]) -> Any:
    if type(value) is list:
        return tuple([_decode(item, classes) for item in value])
    if type(value) is dict:
        ((name, items),) = value.items()
        return classes[name](*[_decode(item, classes) for item in items])
    return value


def loads(text: str | bytes) -> Plan:
    """The plan that :func:`dumps` wrote; raises ValueError if the text is not one."""
    try:
        plan = decode(json.loads(text))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"not a plan of this netlab: {error}") from error
    if not isinstance(plan, Plan):
        raise ValueError("not a plan of this netlab")
    return plan


def digest(text: str) -> str:
    """The name of a plan's content: hex digits, over the text of :func:`dumps` and netlab's own version."""
    return hashlib.sha256(f"{__version__}\n{text}".encode()).hexdigest()[:32]
