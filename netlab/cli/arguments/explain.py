"""The arguments of ``netlab explain``."""

from __future__ import annotations

import argparse

from netlab.cli.help import FLOW_GRAMMAR, examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    hint(option("lab", nargs="?", metavar="LAB", help="the lab; default: the one running lab"), "lab")
    option("flows", nargs="*", metavar="FLOW", help="'client -> host:80/tcp'")
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=4, help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=6, help="IPv6 only")
    option(
        "--predict", action="store_true",
        help="predict from the plan instead of measuring; LAB may be a scenario or archive; needs no root",
    )  # fmt: skip
    option("--json", action="store_true", help="print JSON")
    parser.set_defaults(protocol=None, via=None, from_address=None, from_port=None)
    parser.epilog = (
        f"{FLOW_GRAMMAR}\n\n"
        "netlab adds the rule in the lab, measures the whole matrix again, and removes the rule. If a "
        "route or a sysctl decided, it tries to change that in the same way. It suggests only changes that "
        "help. With --predict it does the same with the plan alone, and touches no lab. Exit code: 0 if "
        "each rule changed its own flow and no other, 1 if not, 3 if that could not be measured or "
        "predicted."
    )
    examples(
        parser,
        ("netlab explain -4 'client -> host:80'", "which rule lets it through, and how to block it"),
        ("netlab explain --predict compose.yaml 'client -> host:80'", "the same without a lab"),
    )
