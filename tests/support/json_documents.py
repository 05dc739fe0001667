"""What ``--json`` prints, against its JSON Schema, in both directions: nothing that the schema does not name,
and nothing in the schema that is never printed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from netlab.cli.json_schemas import PRINTED, schema

Met = set[tuple[str, str]]


def printed_by(arguments: Sequence[str]) -> str | None:
    """The name of the schema of what this command line prints; None if it prints no JSON."""
    words = list(arguments[: list(arguments).index("--")]) if "--" in arguments else list(arguments)
    found = [
        name for name, one in PRINTED.items() if one.option in words and words[0] == name.partition("-")[0]
    ]
    return found[0] if found else None


def check(name: str, text: str) -> list[Any]:
    """The documents of an output, each of which fits its schema; AssertionError says what does not."""
    whole = text.splitlines() if PRINTED[name].lines else [text]
    documents = [json.loads(one) for one in whole]
    for document in documents:
        problems = [f"{one.json_path}: {one.message[:300]}" for one in _validator(name).iter_errors(document)]
        assert not problems, f"{name}: {problems[:5]}"
    return documents


@cache
def _validator(name: str) -> Any:
    from jsonschema import Draft202012Validator  # only where a test prints JSON

    Draft202012Validator.check_schema(schema(name))
    return Draft202012Validator(schema(name))


def journeys_own() -> frozenset[str]:
    """The names of a journey's objects: their keys are met in the recorded journeys of the gallery."""
    return frozenset(schema("trace")["$defs"]) - {"Trace"}


def unmet(name: str, documents: Iterable[Any], apart: Iterable[str] = journeys_own()) -> set[str]:
    """The keys of a schema (``Leg.by``) that none of these documents has; objects ``apart`` do not count."""
    whole = schema(name)
    met: Met = set()
    for document in documents:
        _walk(document, whole, whole["$defs"], met)
    keys = {(one, key) for one, found in whole["$defs"].items() for key in found["properties"]}
    return {f"{one}.{key}" for one, key in keys - met if one not in set(apart)}


def _walk(value: Any, wanted: dict[str, Any], defs: dict[str, Any], met: Met) -> None:
    if "$ref" in wanted:
        name = wanted["$ref"].rpartition("/")[2]
        if isinstance(value, dict) and set(value) <= set(defs[name]["properties"]):
            for key, one in value.items():
                if (name, key) not in met or isinstance(one, dict | list):
                    met.add((name, key))
                    _walk(one, defs[name]["properties"][key], defs, met)
    for one in wanted.get("anyOf", ()):
        if "$ref" not in one or (
            isinstance(value, dict) and set(defs[one["$ref"].rpartition("/")[2]]["required"]) <= set(value)
        ):
            _walk(value, one, defs, met)
    if isinstance(value, list):
        for number, one in enumerate(value):
            if number < len(wanted.get("prefixItems", ())):
                _walk(one, wanted["prefixItems"][number], defs, met)
            elif isinstance(wanted.get("items"), dict):
                _walk(one, wanted["items"], defs, met)
    if isinstance(value, dict) and isinstance(wanted.get("additionalProperties"), dict):
        for one in value.values():
            _walk(one, wanted["additionalProperties"], defs, met)
