"""The arguments of ``netlab probe``."""

from __future__ import annotations

import argparse
from argparse import ArgumentTypeError

from netlab.cli.help import FLOW_GRAMMAR, examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    hint(option("lab", nargs="?", metavar="LAB", help="the lab; default: the one running lab"), "lab")
    option(
        "flows", nargs="*", metavar="FLOW",
        help="'client -> host:80/tcp'; several are measured together; - reads one flow per line from stdin",
    )  # fmt: skip
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=4, help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=6, help="IPv6 only")
    protocol = parser.add_mutually_exclusive_group()
    for word in ("tcp", "udp", "sctp", "icmp"):
        protocol.add_argument(
            f"--{word}",
            dest="protocol",
            action="store_const",
            const=word,
            help=f"use {word}, whatever FLOW says",
        )
    option("--via", metavar="NODE", help="send the frame to this node, whatever the routing table says")
    option(
        "--from-port", type=_port, metavar="PORT",
        help="the source port, as in 'client:40000 -> host:53/udp', whatever FLOW says",
    )  # fmt: skip
    option("--from-address", metavar="ADDRESS", help="source address; forged if the origin does not have it")
    crafted = parser.add_argument_group("packets made by hand (no connection is opened)")
    option = crafted.add_argument
    option("--syn", action="store_true", help="send a single SYN and report its answer")
    option("--flags", metavar="LETTERS", help="TCP flags, such as S, SA, R, FPU")
    option("--payload", metavar="TEXT", help="the packet's payload")
    option("--hops", type=int, metavar="N", help="TTL or hop limit")
    option("--fragment", type=int, metavar="N", help="cut the payload into fragments of N octets")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--predict", action="store_true",
        help="predict from the plan instead of measuring; LAB may be a scenario or archive; needs no root",
    )  # fmt: skip
    how.add_argument(
        "--both", action="store_true",
        help="measure and predict, and show the first point at which they differ (then exit code 1)",
    )  # fmt: skip
    parser.add_argument("--replies", action="store_true", help="show the path of the answers, too")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON line for each flow, in order")
    form.add_argument(
        "--picture", action="store_true", help="print the hooks as boxes, IPv4 and IPv6 side by side"
    )
    parser.add_argument("--svg", metavar="FILE", help="also draw the paths on the Netfilter diagram")
    parser.epilog = FLOW_GRAMMAR
    examples(
        parser,
        ("netlab probe 'client -> host:80'", "both families, rule by rule"),
        ("netlab probe -6 '[client,neighbour] -> host:[80,443]'", "several flows over IPv6"),
        ("netlab probe 'client -> host:80' --svg paths.svg", "a picture for a page or a slide"),
        ("netlab probe shop 'web -> db:5432' --json", "a lab by name, for programs"),
        ("netlab probe --predict compose.yaml 'client -> host:80'", "what would happen, without a lab"),
        ("netlab probe --syn --from-address 203.0.113.9 'client -> host:80'", "a SYN with a forged source"),
    )


def _port(text: str) -> int:
    if text.isdecimal() and 0 < int(text) < 65536:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a port (1-65535)")
