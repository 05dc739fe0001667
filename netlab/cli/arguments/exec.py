"""The arguments of ``netlab exec``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.usage = "netlab exec [-h] [-v] [-e NAME=VALUE] [--] [LAB.]NODE [--] COMMAND [ARGUMENT …]"
    parser.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME=VALUE",
        help="environment variable for the command; may be repeated",
    )  # fmt: skip
    hint(parser.add_argument("node", metavar="[LAB.]NODE", help="where to run the command"), "node")
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments"
    )
    parser.epilog = (
        "The command has the node's network, /sys, host name, /etc/hosts and /etc/resolv.conf, sees "
        "the processes of the lab, and uses this machine's files; it gets stdin, stdout and stderr, "
        "and no other open file. The exit code is the command's own (125: no such node, or it cannot be "
        "entered, 126: cannot be executed, 127: not found, 128+n: killed by signal n)."
    )
    examples(
        parser,
        ("netlab exec client -- curl -s http://198.51.100.1/", "the page that client gets"),
        ("netlab exec shop.host -- iptables -nvL", "the rules of a host"),
    )
