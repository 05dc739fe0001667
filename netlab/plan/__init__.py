"""Build the plan from the engines' events, and render it.

Names are imported at their first use: rendering a ruleset needs no engine.
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
