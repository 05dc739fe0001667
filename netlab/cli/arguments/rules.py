"""The arguments of ``netlab rules``."""

from __future__ import annotations

import argparse

from netlab.cli.help import hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(
        parser.add_argument(
            "node", nargs="?", metavar="[LAB.]NODE", help="default: the host of the one running lab"
        ),
        "node",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--save", action="store_true", help="print the rules as iptables-save does")
    form.add_argument("--nft", action="store_true", help="print the rules as nft list ruleset does")
    form.add_argument("--json", action="store_true", help="print JSON")
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", "--ipv4", action="store_true", help="IPv4 only")
    family.add_argument("-6", "--ipv6", action="store_true", help="IPv6 only")
    parser.add_argument("-t", "--table", metavar="TABLE", help="this table only")
    hint(parser.add_argument("-c", "--chain", metavar="CHAIN", help="this chain only"), "chain")
    parser.add_argument("--no-reasons", action="store_true", help="leave the reasons out")
