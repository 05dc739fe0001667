"""The arguments of ``netlab capture``."""

from __future__ import annotations

import argparse

from netlab.cli.help import add_target, examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    add_target(parser, "LAB|[LAB.]NODE[:IF]", "default: all nodes of the one lab")
    option("-w", "--write", required=True, metavar="FILE", help="pcapng file; - is standard output")
    option("-c", "--count", type=int, metavar="N", help="stop after N packets")
    option("-q", "--quiet", action="store_true", help="say nothing")
    parser.epilog = (
        "The file names interfaces NODE:IF. "
        "Capturing stops at Ctrl-C, after --count packets, or with the lab."
    )
    examples(
        parser,
        ("netlab capture -w lab.pcapng", "every interface of the lab"),
        ("netlab capture httpd.host:ext0 -w - | tcpdump -nr -", "print the packets of one interface"),
    )
