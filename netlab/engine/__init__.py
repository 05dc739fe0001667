"""Container engines, generation by generation: what each would have written to the host by now.

An engine is imported when it is asked for, and the layouts of the others are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.model.errors import UsageError

if TYPE_CHECKING:
    from netlab.engine.contract import Engine

#: The engines that exist, oldest first.
NAMES: tuple[str, ...] = (
    "docker-19.03",
    "docker-20.10",
    "docker-24",
    "docker-26",
    "docker-27",
    "docker-28",
    "docker-29",
    "docker-29-nftables",
)
#: What plain ``docker`` is: the newest with iptables.
NEWEST = "docker-29"


def get(name: str) -> Engine:
    """The engine of that name (``docker``: the newest); raises :class:`UsageError` with a suggestion."""
    wanted = NEWEST if name == "docker" else name
    if wanted not in NAMES:
        import difflib

        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise UsageError(f"there is no engine {name!r}{hint}; engines are {', '.join(NAMES)}")
    from netlab.engine.generations import engine

    return engine(wanted)


__all__ = ["NAMES", "NEWEST", "get"]
