"""The published schema and the check of a file agree: both are made from the same shapes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.model.scenario import JsonValue
from netlab.scenario.netlab_shapes import NETLAB
from netlab.scenario.reader import read
from netlab.scenario.tree import Report, made

ROOT = Path(__file__).parents[3]
SCHEMA = NETLAB.schema()
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def fits(value: JsonValue, wanted: Any) -> bool:
    """JSON Schema, as much of it as the shapes write."""
    if "anyOf" in wanted and not any(fits(value, option) for option in wanted["anyOf"]):
        return False
    if "enum" in wanted and value not in wanted["enum"]:
        return False
    kinds = wanted.get("type", [])
    if kinds and not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return False
    if isinstance(value, str) and "pattern" in wanted and not re.search(wanted["pattern"], value):
        return False
    if isinstance(value, int) and not isinstance(value, bool):
        return wanted.get("minimum", value) <= value <= wanted.get("maximum", value)
    if isinstance(value, list):
        return len(value) >= wanted.get("minItems", 0) and all(
            fits(v, wanted.get("items", {})) for v in value
        )
    return _object_fits(value, wanted) if isinstance(value, dict) else True


def _object_fits(value: dict[str, JsonValue], wanted: Any) -> bool:
    if len(value) < wanted.get("minProperties", 0) or not set(wanted.get("required", ())) <= set(value):
        return False
    for key, entry in value.items():
        rule = wanted.get("properties", {}).get(key)
        if rule is None:
            patterns = wanted.get("patternProperties", {})
            rule = next((r for pattern, r in patterns.items() if re.search(pattern, key)), None)
        if rule is None:
            rule = wanted.get("additionalProperties", {})
        if rule is False or not fits(entry, rule):
            return False
    return True


def _is(value: JsonValue, kind: str) -> bool:
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, TYPES[kind])


def accepted(value: JsonValue) -> bool:
    """Whether the shapes have nothing to say."""
    report = Report()
    NETLAB.clean(made(value, ("f", 1, 1)), "x-netlab", report)
    return not report


def test_the_published_file_is_current() -> None:
    command = [sys.executable, "-m", "netlab.scenario.schema"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "docs" / "x-netlab.schema.json").read_text(encoding="utf-8") == printed


def blocks() -> list[JsonValue]:
    """Every x-netlab block that is lying around in the project."""
    found: list[JsonValue] = []
    for path in [
        *(ROOT / "scenarios").glob("*.yaml"),
        *(ROOT / "tests/data/captures/scenarios").glob("*.yaml"),
    ]:
        block = read(path.read_bytes(), path.name).get("x-netlab")
        if block is not None:
            found.append(block.plain())
    return found


@pytest.mark.parametrize("block", blocks())
def test_real_blocks_fit(block: JsonValue) -> None:
    assert accepted(block)
    assert fits(block, SCHEMA)


def test_what_editors_should_mark() -> None:
    for block in (
        {"hots": {}},
        {"host": {"engine": "docker-21"}},
        {"host": {"daemon": {"userland_proxy": True}}},
        {"host": {"daemon": {"mtu": "1500"}}},
        {"host": {"sysctls": {"kernel.panic": 1}}},
        {"expect": [{"ipv4": {"outcome": "ok"}}]},
        {"expect": [{"flow": "a -> b:1", "ipv4": {}}]},
        {"outside": {"a b": {}}},
    ):
        assert not accepted(block), block
        assert not fits(block, SCHEMA), block


def strategy(wanted: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that fit a schema, or nearly."""
    if "anyOf" in wanted:
        return st.one_of([strategy(option, depth + 1) for option in wanted["anyOf"]])
    if "enum" in wanted:
        return st.sampled_from([*wanted["enum"], "other"])
    kind = wanted.get("type")
    if kind == "object":
        fields = {key: strategy(rule, depth + 1) for key, rule in wanted.get("properties", {}).items()}
        chosen = st.fixed_dictionaries({}, optional=fields | {"odd": st.just(1)} if depth < 2 else fields)
        rules = [*wanted.get("patternProperties", {}).values()]
        rules += [rule] if isinstance(rule := wanted.get("additionalProperties"), dict) else []
        if not rules:
            return chosen
        names = st.sampled_from(["a", "net.ipv4.x", "ext0", "bad name"])
        return st.dictionaries(names, strategy(rules[0], depth + 1), max_size=2)
    if kind == "array":
        return st.lists(strategy(wanted.get("items", {}), depth + 1), max_size=2)
    texts = st.sampled_from(["x", "10.0.0.1", "10.0.0.0/24", "80/tcp", "net.ipv4.x", "shared", ""])
    return st.one_of(texts, st.integers(-1, 70000), st.booleans(), st.none())


@given(strategy(SCHEMA))
def test_what_the_check_accepts_the_schema_accepts(block: JsonValue) -> None:
    if accepted(block):
        assert fits(block, SCHEMA)
