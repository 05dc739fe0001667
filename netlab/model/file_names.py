"""The names that scenario files have by default, and the name that a lab gets from its file's."""

from __future__ import annotations

import re
from pathlib import Path

#: Compose's own names for a project's file, in its order (compose-go, cli/options.go)
COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
COMPOSE_OVERRIDES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)
NETLAB_FILES = ("netlab.yaml", "netlab.yml")
#: so that LAB.NODE fits into a file name, and the path of a socket below it into sun_path
LAB_LENGTH = 63


def lab_name(path: Path) -> str:
    """The file's stem, or its folder's name for compose.yaml, docker-compose.yaml and netlab.yaml."""
    name = path.name
    generic = name in COMPOSE_FILES or name in COMPOSE_OVERRIDES or name in NETLAB_FILES
    stem = path.absolute().parent.resolve().name if generic else path.stem
    made = re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-_")[:LAB_LENGTH].rstrip("-_")
    return made or "lab"
