"""The arguments of ``netlab up``."""

from __future__ import annotations

import argparse

from netlab.cli.arguments.scenario import add_scenario_options
from netlab.cli.help import examples


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, several=True, programs=True)
    parser.add_argument("--json", action="store_true", help="print the lab as JSON")
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing unless something goes wrong"
    )
    parser.epilog = (
        "If the lab is already running, only the services and networks that changed are created, "
        "removed or restarted, as with `docker compose up`. A change to a host or to the nodes "
        "outside rebuilds the whole lab. When the command returns, everything that it shows is ready "
        "to answer."
    )
    examples(
        parser,
        ("netlab up scenarios/httpd.yaml", "build the example of the README"),
        ("netlab up edge/compose.yaml + shop/compose.yaml", "two Compose projects on one host"),
        (
            "netlab up --engine docker-28 --firewall ufw",
            "this folder's Compose file, with another engine and ufw",
        ),
    )
