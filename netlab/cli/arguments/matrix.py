"""The arguments of ``netlab matrix``."""

from __future__ import annotations

import argparse
import os

from netlab.cli.arguments.scenario import add_on, add_scenario_options
from netlab.cli.help import examples


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Which flows of a matrix are measured."""
    parser.add_argument(
        "--from", action="append", default=[], metavar="NODE", dest="origins",
        help="only flows from these nodes: a name, a glob, outside, hosts or containers; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--to", action="append", default=[], metavar="TARGET", dest="targets",
        help="only flows to these services, or to targets such as host:80; may be repeated",
    )  # fmt: skip
    parser.add_argument("--published", action="store_true", help="only published ports")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """How many labs run at once."""
    parser.add_argument(
        "-j",
        "--jobs",
        type=int,
        default=2 * (os.cpu_count() or 1),  # a lab waits most of the time
        metavar="N",
        help="labs to run at once; default: two for each processor",
    )


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, variants=True)
    add_selection(parser)
    parser.add_argument(
        "--allow", action="append", default=[], metavar="TARGET",
        help="exit with 1 if any other port than these (such as host:443) can be reached; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--predict", action="store_true",
        help="predict from the plan instead of measuring; needs no root and no Linux",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="a line for each flow, and all replicas")
    parser.add_argument(
        "--json", action="store_true", help="every flow with its journeys, as JSON; includes --all"
    )
    parser.add_argument(
        "--differences", action="store_true", help="only the flows that differ between the variants"
    )
    add_jobs(parser)
    add_on(parser)
    parser.epilog = (
        "FILE may be the name of a running lab. Several --engine and --firewall, and --daemon KEY=both "
        "(true and false), put the variants side by side and mark what differs. --choice all asks every way "
        "in which what an engine leaves to chance can come out; ways with the same answers are one column."
    )
    examples(
        parser,
        ("netlab matrix compose.yaml --from outside --published", "which ports are open from outside"),
        (
            "netlab matrix compose.yaml --from outside --allow host:80 --allow host:443",
            "for CI: fail if anything else is open",
        ),
        ("netlab matrix compose.yaml --predict", "the same without a lab, in milliseconds"),
        ("netlab matrix compose.yaml --engine podman --choice all", "what depends on chance"),
        ("netlab matrix compose.yaml --engine docker-20.10 --engine docker-28 --differences", "an upgrade"),
    )
