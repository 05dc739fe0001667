"""Container engines, generation by generation: what each would have written to the host by now.

An engine is imported when it is asked for, and the layouts of the others are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.model.errors import UsageError
from netlab.model.version import ENGINES, NEWEST, engine_version

if TYPE_CHECKING:
    from netlab.engine.contract import Engine

#: The engines that have a name of their own, oldest first.
NAMES = ENGINES


def get(name: str) -> Engine[Any]:
    """The engine of that name: ``docker-28``, ``docker-28.1.1``, or ``docker``, which is the newest.

    Raises :class:`UsageError` with a suggestion.
    """
    try:
        found = engine_version(name)
    except ValueError as error:
        raise UsageError(f"there is no engine {name}{error}") from None
    from netlab.engine.docker.generations import engine

    return engine(found)


__all__ = ["NAMES", "NEWEST", "get"]
