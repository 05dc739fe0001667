"""What a fork of the supervisor runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable


def main_of(module: str) -> Callable[..., int]:
    """The function ``main`` of a module of netlab.

    A door: what builds, changes and measures is imported by the process that does it, and its memory ends
    with that.
    """
    main: Callable[..., int] = importlib.import_module(module).main
    return main
