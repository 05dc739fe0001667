"""Write a scenario as YAML that netlab and Compose read: every strange word is quoted as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
#: words that some readers of YAML take for something else
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"}
_WIDTH = 100


def yaml_text(document: dict[str, Any]) -> str:
    """The document; a dollar sign in a value is doubled, as Compose's interpolation wants it.

    >>> print(yaml_text({"a": {"b": [1, "x$y"]}}), end="")
    a:
      b: [1, "x$$y"]
    """
    return "".join(f"{line}\n" for line in _block(document, ""))


def _block(value: dict[str, Any], indent: str) -> Iterator[str]:
    for key, inner in value.items():
        head = f"{indent}{_key(key)}:"
        flat = _flow(inner)
        simple = not isinstance(inner, dict) or not any(isinstance(v, dict | list) for v in inner.values())
        if simple and len(head) + 1 + len(flat) <= _WIDTH:
            yield f"{head} {flat}"
        elif isinstance(inner, dict) and inner:
            yield head
            yield from _block(inner, f"{indent}  ")
        elif isinstance(inner, list) and inner:
            yield head
            yield from (f"{indent}  - {_flow(item)}" for item in inner)
        else:
            yield f"{head} {flat}"


def _key(key: str) -> str:
    plain = _PLAIN_KEY.match(key) and key.lower() not in _WORDS
    return key if plain else json.dumps(key)


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value.replace("$", "$$"))
    return json.dumps(value)
