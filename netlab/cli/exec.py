"""``netlab exec NODE -- CMD``: run a command in a node."""

from __future__ import annotations

import argparse

from netlab.cli.complete import hint
from netlab.cli.help import examples

#: Exit code where the command could not be asked for: any other may be the command's own.
NOT_ENTERED = 125


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


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
    import os

    from netlab.lab.client.client import find_node
    from netlab.lab.client.terminal import run_inside
    from netlab.model.errors import NetlabError, UsageError

    argv = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not argv:
        raise UsageError(f"say what to run in {args.node} (netlab exec {args.node} -- COMMAND)")
    env = dict(os.environ)
    for setting in args.env:
        name, sign, value = setting.partition("=")
        if not sign or not name:
            raise UsageError(f"--env {setting!r} is not NAME=VALUE")
        env[name] = value
    try:
        client, node = find_node(args.node)
    except NetlabError as error:
        error.exit_code = NOT_ENTERED
        raise
    return run_inside(client, node, argv, env=env)
