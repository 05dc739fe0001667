"""Names that are imported when somebody asks for them: the public ones, and those of slow libraries."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping


def at_first_use(package: str, where: Mapping[str, str]) -> Callable[[str], object]:
    """The ``__getattr__`` of a module (PEP 562) that imports a name when it is first used.

    ``where`` has the module of each name; a module itself is a name whose module ends with it.
    """

    def get(name: str) -> object:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        # A door: `netlab ls` must not pay for planning, nor pytest for labs, nor a probe for scapy.
        __import__(where[name])
        module = sys.modules[where[name]]
        return module if where[name].endswith(f".{name}") else getattr(module, name)

    return get
