"""A published port's rules: as in Docker 28."""

from __future__ import annotations

from netlab.engine.docker_28.port import add, remove

__all__ = ["add", "remove"]
