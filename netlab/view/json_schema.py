"""The JSON Schema (2020-12) of a document, from the types of the code that makes it.

A ``TypedDict`` is the object that a function returns, checked by mypy where it is made. A dataclass is an
object with all its fields. The sentences come from the docstring of the type, and from the ``#:`` comments of
its fields (or from ``Annotated[…, "sentence"]``).
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
import sys
import types
from collections.abc import Mapping, Sequence
from functools import cache
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NotRequired,
    TypeAlias,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)  # fmt: skip

Schema: TypeAlias = dict[str, Any]
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SIMPLE: Final[Mapping[object, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
}


def schema_of(documents: Sequence[type], title: str, version: int | None = None) -> Schema:
    """The schema of what is one of these objects; each type that they hold is one of its ``$defs``.

    ``version``: each document begins with this ``schema_version``, which its type does not name. Raises
    TypeError for a type that JSON cannot show, or if two types have the same name.
    """
    found = _Types()
    references = [found.reference(one) for one in documents]
    if version is not None:
        for one in documents:
            definition = found.definitions[name_of(one)]
            said = {"const": version, "description": "the version of this document's form"}
            definition["properties"] = {"schema_version": said, **definition["properties"]}
            definition["required"].insert(0, "schema_version")
    body = references[0] if len(references) == 1 else {"anyOf": references}
    return {"$schema": DIALECT, "title": title, **body, "$defs": dict(sorted(found.definitions.items()))}


def name_of(kind: type) -> str:
    """The name of a type's definition: ``Journey`` of ``JourneyDocument``."""
    return kind.__name__.removesuffix("Document")


class _Types:
    """The definitions of a schema, by the names of their types."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}
        self._types: dict[str, type] = {}

    def reference(self, kind: type) -> Schema:
        """A reference to the definition of a TypedDict or a dataclass, which is made if it is not there."""
        name = name_of(kind)
        if self._types.setdefault(name, kind) is not kind:
            raise TypeError(f"two types are named {name}: {self._types[name]!r} and {kind!r}")
        if name not in self.definitions:
            self.definitions[name] = {}  # for what holds itself
            self.definitions[name].update(self._object(kind))
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, kind: type) -> Schema:
        hints = get_type_hints(kind, include_extras=True)
        said = comments(kind)
        properties, required = {}, []
        for name, hint in hints.items():
            if get_origin(hint) is NotRequired:
                (hint,) = get_args(hint)
            else:
                required.append(name)
            properties[name] = self._value(hint)
            if name in said:
                properties[name]["description"] = said[name]
        return {
            "type": "object",
            "description": _sentences(kind),
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    def _value(self, hint: Any) -> Schema:
        origin, arguments = get_origin(hint), get_args(hint)
        if hint in _SIMPLE:
            return dict(_SIMPLE[hint])
        if origin is Annotated:
            return {**self._value(arguments[0]), "description": arguments[1]}
        if origin is Literal:
            return {"const": arguments[0]} if len(arguments) == 1 else {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return self._either(arguments)
        if origin is tuple and arguments[-1] is not Ellipsis:
            return {
                "type": "array",
                "prefixItems": [self._value(one) for one in arguments],
                "items": False,
                "minItems": len(arguments),
            }
        if origin in (tuple, list, Sequence):
            return {"type": "array", "items": self._value(arguments[0])}
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self._value(arguments[1])}
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return {"enum": [one.value for one in hint]}
        if isinstance(hint, type) and (is_typeddict(hint) or dataclasses.is_dataclass(hint)):
            return self.reference(hint)
        raise TypeError(f"JSON has no values of the type {hint!r}")

    def _either(self, kinds: Sequence[Any]) -> Schema:
        values = [self._value(kind) for kind in kinds]
        if len(values) == 2 and values[1] == {"type": "null"}:
            if set(values[0]) == {"type"}:
                return {"type": [values[0]["type"], "null"]}
            if set(values[0]) == {"enum"}:
                return {"enum": [*values[0]["enum"], None]}
        return {"anyOf": values}


def _sentences(kind: type) -> str:
    """The docstring of a type up to its first example, each paragraph as one line."""
    paragraphs = inspect.cleandoc(kind.__doc__ or "").split("\n\n")
    kept = []
    for paragraph in paragraphs:
        if paragraph.startswith((">>>", "::", "docs/")):
            break
        kept.append(_plain(" ".join(paragraph.split())))
    return "\n\n".join(kept)


def _plain(text: str) -> str:
    """A docstring's words without its roles, code as in Markdown."""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


@cache
def comments(kind: type) -> dict[str, str]:
    """The ``#:`` comments of a type's fields, those that it has from others included."""
    module = sys.modules[kind.__module__]
    text = inspect.getsource(module)
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            for base in node.bases:
                parent = getattr(module, base.id, None) if isinstance(base, ast.Name) else None
                if isinstance(parent, type) and "__annotations__" in vars(parent):
                    found |= comments(parent)
            found |= _own_comments(node, text.splitlines())
    return found


def _own_comments(node: ast.ClassDef, lines: Sequence[str]) -> dict[str, str]:
    found = {}
    for field in node.body:
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        assert field.end_lineno is not None
        _, marked, beside = lines[field.end_lineno - 1].partition("  #: ")
        above: list[str] = []
        for line in reversed(lines[: field.lineno - 1]):
            if not line.strip().startswith("#: "):
                break
            above.insert(0, line.strip().removeprefix("#: "))
        if marked or above:
            found[field.target.id] = _plain(beside if marked else " ".join(above))
    return found
