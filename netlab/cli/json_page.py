"""The page of the JSON documents, and their schemas: ``python -m netlab.cli.json_page docs``."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from netlab.cli.json_schemas import PRINTED, command, schema
from netlab.view.json_schema import Schema

FOLDER: Final = "json"
_PREAMBLE: Final = """\
# JSON

<!-- Made by `python -m netlab.cli.json_page docs` from the types of the code that prints the documents. -->

What `--json` prints, and what `verify --json-lines` does. Each document has a JSON Schema (2020-12), which
names every key: nothing else is ever printed. `schema_version` is the version of the form: keys are added to
a version, but never renamed or removed. *Lines*: a document on each line, printed as soon as it is known.

| command | schema | it prints |
|---|---|---|
"""
_SHARED: Final = """
## Shared objects

Objects in the documents of several commands.
"""


def pages() -> dict[str, str]:
    """The files to write, by their path in the folder of documents."""
    schemas = {name: schema(name) for name in PRINTED}
    found = {
        f"{FOLDER}/{name}.schema.json": json.dumps(one, indent=2, ensure_ascii=False) + "\n"
        for name, one in schemas.items()
    }
    found["json.md"] = _PREAMBLE + "".join(_page(schemas))
    return found


def _page(schemas: dict[str, Schema]) -> Iterator[str]:
    uses = Counter(name for one in schemas.values() for name in one["$defs"])
    for name, one in schemas.items():
        heads = " or ".join(f"[{head}](#{head.lower()})" for head in _heads(one))
        lines = " lines:" if PRINTED[name].lines else ""
        yield f"| `{command(name)}` | [{name}]({FOLDER}/{name}.schema.json) |{lines} {heads} |\n"
    for name, one in schemas.items():
        own = {key: value for key, value in one["$defs"].items() if uses[key] == 1}
        if not own:
            continue
        yield f"\n## netlab {name.partition('-')[0]}{' as lines' if name != name.partition('-')[0] else ''}\n"
        first = [key for key in _heads(one) if key in own]
        for key in dict.fromkeys([*first, *own]):
            yield from _object(key, own[key])
    yield _SHARED
    shared = {key: value for one in schemas.values() for key, value in one["$defs"].items() if uses[key] > 1}
    for key in sorted(shared):
        yield from _object(key, shared[key])


def _heads(one: Schema) -> list[str]:
    """The names of the documents that a schema is about."""
    references = one.get("anyOf", [one])
    return [reference["$ref"].rpartition("/")[2] for reference in references]


def _object(name: str, definition: Schema) -> Iterator[str]:
    yield f"\n### {name}\n\n{definition['description']}\n"
    yield "\n| key | value | |\n|---|---|---|\n"
    for key, value in definition["properties"].items():
        missing = "" if key in definition["required"] else " (may be missing)"
        said = value.get("description", "").replace("|", "\\|")
        yield f"| `{key}`{missing} | {_value(value)} | {said} |\n"


def _value(value: Any) -> str:
    """A schema in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{json.dumps(one)}`" for one in value["enum"])
    if "anyOf" in value:
        return " or ".join(map(_value, value["anyOf"]))
    if value["type"] == "array":
        if "prefixItems" in value:
            return "list of exactly " + ", ".join(map(_value, value["prefixItems"]))
        return f"list of {_value(value['items'])}"
    if value["type"] == "object":
        return f"object: name → {_value(value['additionalProperties'])}"
    kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return " or ".join(kinds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page and the schemas into the folder of documents; a schema of no verb any more goes."""
    (folder,) = map(Path, sys.argv[1:] if arguments is None else arguments)
    found = pages()
    (folder / FOLDER).mkdir(exist_ok=True)
    for path in (folder / FOLDER).glob("*.schema.json"):
        if f"{FOLDER}/{path.name}" not in found:
            path.unlink()
    for name, text in found.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
