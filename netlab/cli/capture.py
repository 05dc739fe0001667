"""``netlab capture``: what passes a node's interfaces, or all nodes', as a pcapng file."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from netlab.cli.interrupted import UntilInterrupted
from netlab.cli.output import say
from netlab.cli.shell import find_target
from netlab.lab.client.capture import Capturing, sources_in
from netlab.lab.output_file import open_output
from netlab.model.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from netlab.lab.client.capture import Source
    from netlab.lab.client.client import Client


def run(args: argparse.Namespace) -> int:
    """Capture; returns 0, or 3 if packets were lost."""
    client, sources = sources_of(args.target)
    with contextlib.ExitStack() as stack:
        if args.write == "-":
            output = sys.stdout.fileno()
        else:
            output = stack.enter_context(open_output(args.write)).fileno()
        capturing = Capturing(client, sources, output, args.count)
        stack.callback(capturing.abandon)
        with UntilInterrupted(capturing.end):
            if not args.quiet:
                names = ", ".join(node if name is None else f"{node}:{name}" for node, name in sources)
                say(f"capturing on {names} (Ctrl-C ends)")
            capturing.wait()
    if not args.quiet:
        say(f"{capturing.packets} packets captured, {capturing.lost} lost")
    return 3 if capturing.lost else 0


def sources_of(text: str | None) -> tuple[Client, list[Source]]:
    """The lab, and what to capture there; raises UsageError for a node or interface that is not there."""
    target, colon, interface = (text or "").partition(":")
    client, node = find_target(target or None)
    if node is None and colon:
        raise UsageError(f"{text}: an interface is one of a node: {client.name}.NODE:{interface}")
    return client, sources_in(client.plan, node, interface or None)
