"""A container's rules beside its ports: as in Docker 28."""

from __future__ import annotations

from netlab.engine.docker_28.endpoint import add, remove

__all__ = ["add", "remove"]
