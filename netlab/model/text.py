"""How a value is shown to a person: whoever can draw it says so here, since the core draws nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_RENDERERS: dict[tuple[str, str], Callable[..., str]] = {}
_REGISTRARS: list[Callable[[], None]] = []


def show_with(kind: str, render: Callable[..., str], form: str = "text") -> None:
    """From now on, ``render`` makes the text of values whose class is called ``kind``, in that form."""
    _RENDERERS[kind, form] = render


def register_with(register: Callable[[], None]) -> None:
    """``register`` calls :func:`show_with`; it is called when the first value is drawn."""
    _REGISTRARS.append(register)


def text_of(value: object) -> str:
    """The text of a value; empty if nobody can draw it."""
    render = _renderer(value, "text")
    return render(value) if render is not None else ""


def drawing_of(value: object, form: str, **options: Any) -> str:
    """The drawing of a value in a form such as ``svg``; raises ValueError, naming those that there are."""
    render = _renderer(value, form)
    if render is None:
        kind = type(value).__name__
        forms = sorted(known for name, known in _RENDERERS if name == kind)
        raise ValueError(f"there is no form {form!r}; there are {', '.join(forms)}")
    return render(value, **options)


def _renderer(value: object, form: str) -> Callable[..., str] | None:
    while _REGISTRARS:
        _REGISTRARS.pop()()
    return _RENDERERS.get((type(value).__name__, form))
