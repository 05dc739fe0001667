"""The plan: the fold of the engines' events, as data, and its renderings.

What a name stands for is imported when it is asked for: rendering a ruleset needs no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netlab.plan.build import make
    from netlab.plan.events import events_of

__all__ = ["events_of", "make"]


def __getattr__(name: str) -> object:
    if name == "make":
        from netlab.plan.build import make

        return make
    if name == "events_of":
        from netlab.plan.events import events_of

        return events_of
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
