"""Dataclasses as JSON objects."""

from __future__ import annotations

from dataclasses import asdict
from typing import TypeVar, cast

T = TypeVar("T")


def object_of(value: T) -> T:
    """A dataclass as the object of its fields; the type says of which, so that a document can name it."""
    return cast("T", asdict(value))  # type: ignore[call-overload]
