"""Container engines: what each one writes to its host.

Each engine is imported at its first use, without the layouts of the others. :mod:`netlab.engine.contract`
defines an engine; ``docs/engines.md`` says how to add one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.first_use import at_first_use
from netlab.model.version import ENGINES, NEWEST

if TYPE_CHECKING:
    from netlab.engine.about import about_engine, known
    from netlab.engine.registry import get, register, rootless, together

#: The generations of Docker, oldest first.
NAMES = ENGINES

__all__ = ["NAMES", "NEWEST", "about_engine", "get", "known", "register", "rootless", "together"]

__getattr__ = at_first_use(
    __name__,
    {
        "about_engine": "netlab.engine.about",
        "get": "netlab.engine.registry",
        "known": "netlab.engine.about",
        "register": "netlab.engine.registry",
        "rootless": "netlab.engine.registry",
        "together": "netlab.engine.registry",
    },
)
