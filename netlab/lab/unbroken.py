"""Mark code that an interrupt must not break off: :mod:`netlab.lab.interrupts` delays it."""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])

CODES: set[CodeType] = set()


def unbroken(function: _F) -> _F:
    """Mark a function that no interrupt may break off; everything that it waits for must end."""
    CODES.add(function.__code__)
    return function
