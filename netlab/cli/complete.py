"""What completes an argument: labs, nodes, files, verbs, engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def hint(action: argparse.Action, kind: str) -> argparse.Action:
    """Say what completes ``action``: ``file``, ``lab``, ``node``, ``target``, ``engine``, ``firewall``."""
    action.completes = kind  # type: ignore[attr-defined]
    return action
