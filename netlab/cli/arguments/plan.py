"""The arguments of ``netlab plan``."""

from __future__ import annotations

import argparse

from netlab.cli.arguments.scenario import add_scenario_options

#: ``--rules``: which part of the ruleset.
RULES = ("ipv4", "ipv6", "nft")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--full", action="store_true", help="print every interface, sysctl, rule and listener")
    form.add_argument("--json", action="store_true", help="print all of it as JSON")
    form.add_argument("--rules", choices=RULES, help="print one host's ruleset, as iptables-save or nft does")
    parser.add_argument("--host", metavar="NAME", help="with --rules: the host, if there are several")
