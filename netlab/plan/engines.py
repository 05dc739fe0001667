"""The engines that there are, for whoever may not import them."""

from __future__ import annotations

from netlab import engine
from netlab.model.engine_about import EngineAbout


def known_engines() -> tuple[EngineAbout, ...]:
    """Every engine that has a name of its own; raises :class:`UsageError`."""
    return tuple(engine.known())


def engine_about(name: str) -> EngineAbout:
    """One engine, also of a single version (``docker-27.3.1``); raises :class:`UsageError`."""
    found: EngineAbout = engine.about_engine(name)
    return found
