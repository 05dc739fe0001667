"""What Podman leaves to chance: the order in which a Go map gives its entries.

Measured on 4.3.1, 5.4.2 and 5.8.6: of a container on two networks, either is set up first, about half and
half; seven orders of groups of published ports in twelve runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial
from typing import TypeVar

from netlab.engine.podman.host_state import HostState

T = TypeVar("T")


def in_some_order(state: HostState, items: Sequence[T]) -> list[T]:
    """The items in the order that the host's choice says; the first way of all is the given order."""
    return permutation(items, state.choose(factorial(len(items))))


def permutation(items: Sequence[T], number: int) -> list[T]:
    """The permutation of that number, from 0 on, in lexicographic order of places."""
    left, found = list(items), []
    while left:
        place, number = divmod(number, factorial(len(left) - 1))
        found.append(left.pop(place))
    return found
