"""The arguments of ``netlab drift``."""

from __future__ import annotations

import argparse

from netlab.cli.arguments.collected import add_collection
from netlab.cli.help import examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_collection(parser)
    parser.add_argument(
        "--no-flows", action="store_true", help="do not predict which flows of the matrix differ"
    )
    parser.add_argument("--json", action="store_true", help="print every finding as JSON")
    parser.epilog = (
        "Compares the host's rules and settings with what its engine would have written for its networks "
        "and containers. Each finding says what it means for packets, and which command mends it. Exit code: "
        "1 if there is a finding, else 0."
    )
    examples(
        parser,
        ("netlab drift host.tar.gz", "a collected host"),
        ("sudo netlab drift --from docker", "this host, now"),
    )
