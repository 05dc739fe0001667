"""The arguments of ``netlab report``."""

from __future__ import annotations

import argparse

from netlab.cli.arguments.matrix import add_jobs, add_selection
from netlab.cli.arguments.scenario import add_on, add_scenario_options
from netlab.cli.help import examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, several=True, variants=True)
    add_selection(parser)
    parser.add_argument("--all", action="store_true", help="all replicas of a service, not two of them")
    add_jobs(parser)
    add_on(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="report.html", help="the page; default: report.html"
    )
    parser.epilog = (
        "FILE may be the name of a running lab. Several files, and several --engine, --firewall or "
        "--daemon KEY=both, are columns side by side, as is each way with --choice all. The page needs no "
        "network and no other file. It has "
        "the topology, the matrix, every journey to play step by step with the whole chain beside it, and "
        "the rules and chains that no flow met."
    )
    examples(
        parser,
        ("netlab report scenarios/httpd.yaml -o httpd.html", "measure, and write the page"),
        (
            "netlab report compose.yaml --engine docker-20.10 --engine docker-29-nftables",
            "two engines beside each other",
        ),
    )
