"""Names of engines: Docker's versions, Podman's, and those that a program or an installed package adds.

A program adds one with :func:`netlab.engine.register`, a package with an entry point of the group
``netlab.engines``. Scenarios are read before any engine is imported, so names are known here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from netlab.first_use import at_first_use
from netlab.model.near import nearest
from netlab.model.version import ENGINE_PATTERN as DOCKER_PATTERN
from netlab.model.version import ENGINES, engine_version

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: The group of entry points in which packages name their engines.
GROUP = "netlab.engines"
#: Podman's engines, oldest first, and the one that plain ``podman`` means.
PODMAN = ("podman-4", "podman-5-iptables", "podman-5-nftables")
NEWEST_PODMAN = "podman-5-nftables"
#: The pattern of names that netlab itself knows, for the JSON schema; :func:`check_engine` decides.
PATTERN = rf"{DOCKER_PATTERN}|\A(podman|{'|'.join(PODMAN)})\Z"
#: What another engine may be called; names that begin with ``docker`` or ``podman`` are netlab's own.
NAME = re.compile(r"(?!docker|podman)[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)

#: It takes as long to import as all of `netlab ls`.
_metadata = at_first_use(__name__, {"entry_points": "importlib.metadata"})

#: The engines that this program has registered, by name.
registered: dict[str, Any] = {}


@cache
def packaged() -> Mapping[str, EntryPoint]:
    """The engines that installed packages add, by name; none of them is imported."""
    entry_points: Any = _metadata("entry_points")
    return {point.name: point for point in entry_points(group=GROUP) if NAME.fullmatch(point.name)}


def added() -> tuple[str, ...]:
    """The names of all engines that are not netlab's own, in alphabetical order."""
    return tuple(sorted({*registered, *packaged()}))


def is_docker(name: str) -> bool:
    """Whether the name is of a version of Docker."""
    try:
        engine_version(name)
    except ValueError:
        return False
    return True


def is_podman(name: str) -> bool:
    """Whether the name is one of Podman's."""
    return name == "podman" or name in PODMAN


def kind_of(name: str) -> str:
    """``docker``, ``podman``, or the name itself of an engine that is neither's."""
    if is_podman(name):
        return "podman"
    return "docker" if is_docker(name) else name


def check_engine(name: str) -> None:
    """Raise ValueError for a name that no engine has.

    Its text goes on from the name, as that of :func:`netlab.model.version.engine_version` does.
    """
    if is_podman(name):
        return
    try:
        engine_version(name)
    except ValueError as error:
        others = added()
        if name in others:
            return
        near = nearest(name, ("docker", *ENGINES, "podman", *PODMAN))
        if near is not None and is_podman(near):
            raise ValueError(f' (did you mean "{near}"?)') from None
        also = ["podman", *PODMAN]
        known = f"; of Podman: {', '.join(also)}" if "did you mean" not in str(error) else ""
        more = f"; added by other packages: {', '.join(others)}" if others else ""
        raise ValueError(f"{error}{known}{more}") from None
