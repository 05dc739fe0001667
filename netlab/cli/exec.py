"""``netlab exec NODE -- CMD``: run a command in a node."""

from __future__ import annotations

import argparse
import os

from netlab.lab.client.client import find_node
from netlab.lab.client.terminal import run_inside
from netlab.model.errors import NetlabError, UsageError

#: Exit code where the command could not be asked for: any other may be the command's own.
NOT_ENTERED = 125


def run(args: argparse.Namespace) -> int:
    """Run the command; returns its exit code."""
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
