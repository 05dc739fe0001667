"""The plan: the fold of the engines' events, as data, and its renderings."""

from __future__ import annotations

from netlab.plan.events import events_of
from netlab.plan.make import make

__all__ = ["events_of", "make"]
