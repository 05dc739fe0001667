"""A legacy link's rules: as in Docker 28."""

from __future__ import annotations

from netlab.engine.docker_28.link import add, remove

__all__ = ["add", "remove"]
