"""``netlab capture``: what passes a node's interfaces, or all nodes', as a pcapng file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from netlab.cli.common import UntilInterrupted, open_output, say
from netlab.cli.complete import hint
from netlab.cli.help import examples

if TYPE_CHECKING:
    import argparse

    from netlab.lab.client.capture import Source
    from netlab.lab.client.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    hint(
        option("target", nargs="?", metavar="LAB|[LAB.]NODE[:IF]", help="default: all nodes of the one lab"),
        "target",
    )
    option("-w", "--write", required=True, metavar="FILE", help="pcapng file; - is standard output")
    option("-c", "--count", type=int, metavar="N", help="stop after N packets")
    option("-q", "--quiet", action="store_true", help="say nothing")
    parser.epilog = (
        "The file names interfaces NODE:IF. "
        "Capturing stops at Ctrl-C, after --count packets, or with the lab."
    )
    examples(
        parser,
        ("netlab capture -w lab.pcapng", "every interface of the lab"),
        ("netlab capture httpd.host:ext0 -w - | tcpdump -nr -", "print the packets of one interface"),
    )


def run(args: argparse.Namespace) -> int:
    """Capture; returns 0, or 3 if packets were lost."""
    import contextlib

    from netlab.lab.client.capture import Capturing

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
    from netlab.cli.shell import find_target
    from netlab.lab.client.capture import sources_in
    from netlab.model.errors import UsageError

    target, colon, interface = (text or "").partition(":")
    client, node = find_target(target or None)
    if node is None and colon:
        raise UsageError(f"{text}: an interface is one of a node: {client.name}.NODE:{interface}")
    return client, sources_in(client.plan, node, interface or None)
