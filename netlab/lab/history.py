"""The history of a lab as JSON text: the scenario that it came from, and what happened to it since."""

from __future__ import annotations

import json

from netlab.lab import codec
from netlab.model import event
from netlab.plan import change
from netlab.plan.change import History

#: The classes that a history holds beside those of a plan.
_CLASSES = codec.classes_of(event, change)


def dump_history(history: History) -> str:
    """What a lab came from and what happened to it, as JSON text."""
    return json.dumps(codec.encode(history), ensure_ascii=False, separators=(",", ":"))


def load_history(text: str | bytes) -> History:
    """The history that :func:`dump_history` wrote; raises ValueError if the text is not one."""
    try:
        history = codec.decode(json.loads(text), _CLASSES)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a history of this netlab: {error}") from error
    if not isinstance(history, History):
        raise ValueError("not a history of this netlab")
    return history
