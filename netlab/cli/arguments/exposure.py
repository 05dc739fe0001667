"""The arguments of ``netlab exposure``."""

from __future__ import annotations

import argparse

from netlab.cli.arguments.scenario import add_on, add_scenario_options
from netlab.cli.help import examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, variants=True)
    option = parser.add_argument
    place = option(
        "--from", dest="origin", default="outside", metavar="PLACE",
        help="where packets enter: outside (default), a node that sends them, or a host's interface",
    )  # fmt: skip
    hint(place, "place")
    target = option(
        "--to", dest="target", metavar="TARGET", help="only packets to this node, address or network"
    )
    hint(target, "destination")
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=4, help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=6, help="IPv6 only")
    option(
        "--no-proof", action="store_true",
        help="build no lab and send no packets; needs no root and no Linux",
    )  # fmt: skip
    add_on(parser, instead="")
    option("--json", action="store_true", help="print every region with its boxes as JSON")
    parser.epilog = (
        "Each line covers the packets that no line above it covers. Unless --no-proof is given, packets "
        "from the inside and the edges of each region are sent in a lab, and their traces must agree. "
        "Exit code: 1 if one does not, else 3 if one could not be measured, else 0."
    )
    examples(
        parser,
        ("netlab exposure compose.yaml --no-proof", "who takes what from outside, without a lab"),
        ("netlab exposure compose.yaml --from web --to db", "what one container can send to another"),
        ("netlab exposure compose.yaml --engine docker-27 --engine docker-28", "what an upgrade opens"),
    )
