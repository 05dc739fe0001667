"""The arguments of ``netlab trace``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    hint(option("lab", nargs="?", metavar="LAB", help="the lab; default: the one running lab"), "lab")
    option("filter", nargs="*", metavar="FILTER", help="such as: tcp and port 80 and not from client")
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--netns", metavar="NAME|PATH", help="trace any network namespace on this machine")
    place.add_argument("--host", action="store_true", help="trace the namespace that netlab was started in")
    option("--tree", action="store_true", help="print each journey as a tree instead of one line")
    option("--json", action="store_true", help="print one JSON object per line")
    option("--pcapng", metavar="FILE", help="also write the packets, with hook and rules as comments")
    option("-c", "--count", type=int, metavar="N", help="stop after N journeys")
    parser.epilog = (
        "Tracing stops at Ctrl-C, after --count journeys, or with the lab. --netns and --host add one "
        "nftables table per family (the output names them) and change nothing else; the kernel "
        "removes the tables when this command ends, however it ends.\n\n"
        "FILTER joins these tests with and, or, not: tcp, udp, icmp, ipv4, ipv6, port N, from NODE, "
        "src ADDRESS, dst ADDRESS, host ADDRESS, by CHAIN (or: by FAMILY TABLE CHAIN), "
        "an outcome (timeout) or a path (proxy)."
    )
    examples(
        parser,
        ("netlab trace tcp and port 80 and not from client", "in the one running lab"),
        ("sudo netlab trace --host port 8080", "the traffic of this machine"),
    )
