"""A package that is installed beside netlab, as far as netlab can see: a folder with its metadata."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).parents[1]


def installed(folder: Path, line: str) -> dict[str, str]:
    """Make a package with one entry point of netlab's; the environment in which it is installed."""
    metadata = folder / "toy-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[netlab.engines]\n{line}\n")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{TESTS}"}
