"""Rows that differ in one field only, as one row: ports, families or origins listed together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Row = TypeVar("Row", bound=DataclassInstance)


def folded(rows: Iterable[Row], *fields: str) -> list[Row]:
    """``rows`` with those merged that are equal but for one of the ``fields``, one field after the other.

    The fields hold tuples: a merged row has the values of all, each once, in the order of the rows.
    """
    found = list(rows)
    for field in fields:
        kept: dict[Row, list[Row]] = {}
        for row in found:
            kept.setdefault(replace(row, **{field: ()}), []).append(row)
        found = [replace(key, **{field: _union(same, field)}) for key, same in kept.items()]
    return found


def _union(rows: Iterable[Row], field: str) -> tuple[object, ...]:
    return tuple(dict.fromkeys(value for row in rows for value in getattr(row, field)))
