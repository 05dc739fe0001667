"""The arguments of ``netlab collect``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples

DEFAULT = "host.tar.gz"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    option("-o", "--output", metavar="FILE", help=f"the archive to write; default: {DEFAULT}")
    option(
        "--script", action="store_true",
        help="print a POSIX shell script that collects the same on a host without netlab",
    )  # fmt: skip
    option(
        "--anonymise", action="store_true",
        help="replace public addresses, names and MAC addresses, each always by the same other one",
    )  # fmt: skip
    option("--list", action="store_true", help="only list the commands")
    option("--force", action="store_true", help="replace a file that is there")
    parser.epilog = (
        "Run it on the host itself, as root. It only reads: it lists every command, and names each one "
        "before it runs. Environment variables, labels and everything else that is not about the network "
        "are never asked for. A program that the host does not have is noted, and is no error."
    )
    examples(
        parser,
        ("sudo netlab collect -o host.tar.gz", "this host, as a file"),
        ("netlab collect --script > collect.sh && ssh HOST sudo sh < collect.sh > host.tar", "another host"),
    )
