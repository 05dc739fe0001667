"""Values out of JSON that a stranger may have written: of the right type, or the default."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from netlab.twin.archive import Collection, CollectionError

#: The most entries of one file: of links, routes, containers
MOST = 100_000


def texts(value: object) -> tuple[str, ...]:
    """The strings of a list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def text(record: Mapping[str, Any], key: str) -> str:
    """A string; empty if there is none."""
    value = record.get(key)
    return value if isinstance(value, str) else ""


def number(record: Mapping[str, Any], key: str) -> int:
    """A whole number that 64 bits hold; 0 if there is none."""
    value = record.get(key)
    if not isinstance(value, int) or isinstance(value, bool):
        return 0
    return value if abs(value) < 1 << 63 else 0


def mapping(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping; empty if there is none."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def records(collection: Collection, file: str) -> Iterator[dict[str, Any]]:
    """The objects in a file: in a list as ``ip -j`` prints it, or one a line as docker's templates do.

    Raises CollectionError with the place.
    """
    content = collection.text(file).strip()
    if not content:
        return
    if content.startswith("["):
        found = _parsed(collection, file, content, 1)
        entries = [(1, entry) for entry in found] if isinstance(found, list) else [(1, found)]
    else:
        lines = [(n, line) for n, line in enumerate(content.split("\n"), 1) if line.strip()]
        entries = [(n, _parsed(collection, file, line, n)) for n, line in lines[: MOST + 1]]
    if len(entries) > MOST:
        raise CollectionError(f"{collection.origin}: {file} has more than {MOST:,} entries")
    for at, entry in entries:
        if not isinstance(entry, dict):
            raise CollectionError(f"{collection.origin}: {file}:{at}: an object was expected")
        yield entry


def _parsed(collection: Collection, file: str, content: str, line: int) -> Any:
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        where = f"{file}:{line + error.lineno - 1}:{error.colno}"
        raise CollectionError(f"{collection.origin}: {where}: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise CollectionError(f"{collection.origin}: {file}:{line}: {what}") from None
