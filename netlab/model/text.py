"""How a value is shown to a person: whoever can draw it says so here, since the core draws nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_RENDERERS: dict[str, Callable[[Any], str]] = {}


def show_with(kind: str, render: Callable[[Any], str]) -> None:
    """From now on, ``render`` makes the text of values whose class is called ``kind``."""
    _RENDERERS[kind] = render


def text_of(value: object) -> str:
    """The text of a value; empty if nobody can draw it."""
    render = _RENDERERS.get(type(value).__name__)
    return render(value) if render is not None else ""
