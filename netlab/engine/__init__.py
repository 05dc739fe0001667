"""Container engines, generation by generation: what each would have written to the host by now."""

from __future__ import annotations

import difflib

from netlab.engine.contract import Engine, Refused, State
from netlab.engine.generations import ENGINES
from netlab.model.errors import UsageError

#: The engines that exist, oldest first; plain ``docker`` is the newest.
NAMES: tuple[str, ...] = tuple(ENGINES)


def get(name: str) -> Engine:
    """The engine of that name (``docker``: the newest); raises :class:`UsageError` with a suggestion."""
    newest = [engine for engine in NAMES if not engine.endswith("-nftables")][-1]
    found = ENGINES.get(newest if name == "docker" else name)
    if found is None:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"there is no engine {name!r}{hint}; engines are {', '.join(NAMES)}")
    return found


__all__ = ["NAMES", "Engine", "Refused", "State", "get"]
