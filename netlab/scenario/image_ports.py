"""The ports that a well-known image declares: ``image_ports.txt``, which names its source."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import cast

from netlab.model.scenario import ExposedPort, Protocol

#: Registries that hold the same images as Docker Hub under the same names.
_HUB = ("docker.io/", "index.docker.io/", "registry.hub.docker.com/")
#: Where LinuxServer.io publishes what Docker Hub has as ``linuxserver/``.
_LINUXSERVER = ("lscr.io/linuxserver/", "ghcr.io/linuxserver/")
_PORTS = re.compile(r"(\d+)(?:-(\d+))?(?:/(tcp|udp))?", re.ASCII)


def image_ports(image: str | None) -> tuple[ExposedPort, ...]:
    """The ports that ``image`` (as Compose names it) declares; empty if none, or if it is not known."""
    if not image:
        return ()
    name, tag = _split(image)
    for pattern, ports in _table().get(name, ()):
        if fnmatchcase(tag, pattern):
            return ports
    return ()


def _split(image: str) -> tuple[str, str]:
    """Name and tag of an image, without digest and without what Docker Hub implies."""
    name = image.partition("@")[0]
    tag = "latest"
    head, colon, last = name.rpartition(":")
    if colon and "/" not in last:  # else the colon is that of a registry's port
        name, tag = head, last
    for registry in _HUB:
        name = name.removeprefix(registry)
    for registry in _LINUXSERVER:
        if name.startswith(registry):
            name = "linuxserver/" + name.removeprefix(registry)
    return name.removeprefix("library/"), tag


@cache
def _table() -> dict[str, list[tuple[str, tuple[ExposedPort, ...]]]]:
    """Image → (glob of tags, ports), in the order of the file."""
    found: dict[str, list[tuple[str, tuple[ExposedPort, ...]]]] = {}
    for line in Path(__file__).with_name("image_ports.txt").read_text(encoding="utf-8").splitlines():
        words = line.partition("#")[0].split()
        if words:
            name, _, tag = words[0].partition(":")
            ports = tuple(port for word in words[1:] for port in _ports(word))
            found.setdefault(name, []).append((tag or "*", ports))
    return found


def _ports(word: str) -> list[ExposedPort]:
    match = _PORTS.fullmatch(word)
    if match is None:
        raise ValueError(f"image_ports.txt: {word!r} is not a port")
    low, high = int(match[1]), int(match[2] or match[1])
    return [ExposedPort(port, cast("Protocol", match[3] or "tcp")) for port in range(low, high + 1)]
