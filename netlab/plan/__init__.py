"""Build the plan from the engines' events, and render it.

Names are imported at their first use: rendering a ruleset needs no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use

if TYPE_CHECKING:
    from netlab.plan.build import make
    from netlab.plan.events import events_of

__all__ = ["events_of", "make"]

__getattr__ = at_first_use(__name__, {"events_of": "netlab.plan.events", "make": "netlab.plan.build"})
