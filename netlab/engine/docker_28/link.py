"""A legacy link's rules: as in Docker 20.10 (they match nothing that the drops before them do)."""

from __future__ import annotations

from netlab.engine.docker_20_10.link import add, remove

__all__ = ["add", "remove"]
