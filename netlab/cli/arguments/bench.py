"""The arguments of ``netlab bench``."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError

from netlab.cli.arguments.scenario import add_scenario_options
from netlab.cli.help import examples

#: Limits of the options: an hour of load, and more rounds than a spread needs.
LONGEST, MOST_ROUNDS = 3600.0, 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    add_scenario_options(parser, variants=True, programs=True)
    option = parser.add_argument
    option(
        "flows", nargs="*", metavar="FLOW",
        help="'client -> host:80', several if you like; default: the ways to the lowest published TCP port",
    )  # fmt: skip
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=4, help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=6, help="IPv6 only")
    option(
        "--seconds", type=_seconds, default=30.0, metavar="S",
        help="time of all loads together; default: 30",
    )  # fmt: skip
    option(
        "--rounds", type=_rounds, default=5, metavar="N",
        help="how often each way is measured, in turn with the others; default: 5",
    )  # fmt: skip
    option(
        "--tool", choices=("auto", "own", "real"), default="auto",
        help="what makes the loads: netlab's own generator, wrk and iperf3 (real), or those if they are "
        "there and each load has the second that they need (auto, the default)",
    )  # fmt: skip
    option("--json", action="store_true", help="print every value of every round as JSON")
    option("--svg", metavar="FILE", help="also draw the ratios to FILE")
    parser.epilog = (
        "FILE may be the name of a running lab: a copy of it is measured, and the lab is not touched. "
        "Arguments with an arrow are flows. Several --engine and --firewall, and --daemon KEY=both (true and "
        "false), are measured side by side. Exit code: 3 if a way has no figures because it could not be "
        "measured, else 5 if none has figures, else 0."
    )
    examples(
        parser,
        ("netlab bench scenarios/httpd.yaml", "docker-proxy against PREROUTING and FORWARD"),
        (
            "netlab bench scenarios/httpd.yaml --daemon userland-proxy=both 'httpd -> host:80'",
            "the way back in, by the proxy and by a hairpin",
        ),
        (
            "netlab bench compose.yaml 'client -> host:80' --engine docker-20.10 --engine docker-29-nftables",
            "two engines beside each other",
        ),
    )


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if 0.0 < value <= LONGEST:
        return value
    raise ArgumentTypeError(f"{text!r} is not a time in seconds (at most {LONGEST:.0f})")


def _rounds(text: str) -> int:
    if text.isascii() and text.isdecimal() and 0 < int(text) <= MOST_ROUNDS:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a number of rounds (1-{MOST_ROUNDS})")
