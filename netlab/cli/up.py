"""``netlab up``: build the labs of some scenarios, all at once, and leave them running."""

from __future__ import annotations

import argparse

from netlab.cli.verbs import load
from netlab.lab.client.launch import Launch


def run(args: argparse.Namespace) -> int:
    """Bring the labs up; returns 0, or raises the error of the first that failed."""
    early = Launch()  # its interpreter starts while this one imports what reads and plans scenarios
    try:
        code: int = load("up_jobs").run(args, early)
        return code
    finally:
        early.abandon()
