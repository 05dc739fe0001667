"""The arguments of ``netlab verify``."""

from __future__ import annotations

import argparse

from netlab.cli.arguments.scenario import add_on, add_scenario_options
from netlab.cli.help import examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, several=True)
    parser.add_argument("--json", action="store_true", help="print every verdict with its journey as JSON")
    parser.add_argument(
        "--predict", action="store_true",
        help="predict from the plan instead of measuring; needs no root and no Linux",
    )  # fmt: skip
    parser.add_argument(
        "--json-lines", action="store_true",
        help="print a line of JSON for each scenario, as soon as it and those before it are done",
    )  # fmt: skip
    parser.add_argument("--junit", metavar="FILE", help="also write JUnit XML to FILE")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="show only what did not pass, and the counts"
    )
    parser.add_argument(
        "-j", "--jobs", type=int, default=2, metavar="N", help="labs to run at once; default: 2"
    )
    add_on(parser)
    parser.epilog = (
        "Exit code: 1 if an expectation failed, else 3 if one could not be measured or predicted, else 5 if "
        "there was none, else 0. --choice all checks every way in which what an engine leaves to chance can "
        "come out, and names the expectations that hold in some ways only."
    )
    examples(
        parser,
        ("netlab verify scenarios/*.yaml --junit results.xml", "for CI"),
        ("netlab verify sweep/*.yaml --on dask://192.0.2.1:8786", "on the workers of a cluster"),
    )
