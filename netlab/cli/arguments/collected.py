"""The arguments of the verbs that read a collected host."""

from __future__ import annotations

import argparse

from netlab.cli.help import hint


def add_collection(parser: argparse.ArgumentParser) -> None:
    """The archive, or this host in its place."""
    hint(
        parser.add_argument(
            "archive", nargs="?", metavar="ARCHIVE", help="what netlab collect or its script wrote"
        ),
        "file",
    )
    parser.add_argument(
        "--from", dest="origin", choices=("docker",),
        help="collect this host now, as root, instead of reading an archive",
    )  # fmt: skip
