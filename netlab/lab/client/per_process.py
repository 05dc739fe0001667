"""State that must not survive a fork: locks of other threads, half-read answers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_generation = 0


def _forked() -> None:
    global _generation
    _generation += 1


os.register_at_fork(after_in_child=_forked)


class PerProcess(Generic[T]):
    """One ``T`` in each process that has a copy of this object; made at the first call.

    A forked child leaves its parent's alone, and does not even close it: what a thread of the parent had
    written by halves would then be sent.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: dict[int, T] = {}

    def __call__(self) -> T:
        """What this process has for itself; all its threads get the same."""
        found = self._made.get(_generation)
        return found if found is not None else self._made.setdefault(_generation, self._make())
