"""The arguments of ``netlab diff``."""

from __future__ import annotations

import argparse

from netlab.cli.arguments.scenario import add_on, add_scenario_options
from netlab.cli.help import examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, variants=True)
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--plan-only", action="store_true", help="compare the plans and measure nothing; needs no root"
    )
    how.add_argument(
        "--predict", action="store_true",
        help="predict the flows of both sides instead of measuring them; needs no root and no Linux",
    )  # fmt: skip
    parser.add_argument(
        "--full", action="store_true", help="show every rule, MAC address, file and argument that differs"
    )
    parser.add_argument("--json", action="store_true", help="print every difference as JSON")
    parser.add_argument(
        "-j", "--jobs", type=int, default=2, metavar="N", help="labs to run at once; default: 2"
    )
    add_on(parser)
    parser.epilog = (
        "Give two engines, two firewalls, --daemon KEY=both or two files to compare these two; give "
        "one engine or firewall to compare the file as written with it. A running lab can take a "
        "file's place. Flows that open or close come first. Two --choice are two variants, too; --choice all "
        "beside other variants says of each side which flows depend on what its engine leaves to chance."
    )
    examples(
        parser,
        ("netlab diff compose.yaml --engine docker-20.10 --engine docker-28", "what an upgrade changes"),
        ("netlab diff compose.yaml --daemon userland-proxy=both", "what the userland proxy changes"),
        ("netlab diff old.yaml new.yaml", "what your edit changes"),
    )
