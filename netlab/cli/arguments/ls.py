"""The arguments of ``netlab ls``."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("--json", action="store_true", help="print the labs as JSON")
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")
