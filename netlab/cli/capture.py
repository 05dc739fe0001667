"""``netlab capture``: what passes a node's interfaces, or all nodes', as a pcapng file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from netlab.cli.common import say
from netlab.cli.complete import hint

if TYPE_CHECKING:
    import argparse

    from netlab.lab.client import Client


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    option = parser.add_argument
    hint(
        option("target", nargs="?", metavar="LAB|[LAB.]NODE[:IF]", help="default: all nodes of the one lab"),
        "target",
    )
    option("-w", "--write", required=True, metavar="FILE", help="the pcapng file; - is standard output")
    option("-c", "--count", type=int, metavar="N", help="end after N packets")
    option("-q", "--quiet", action="store_true", help="say nothing")
    parser.epilog = (
        "Interfaces are named NODE:IF in the file. Ends at Ctrl-C, after --count packets, or with the lab.\n"
        "netlab capture httpd.host:ext0 -w - | tcpdump -nr - shows packets as they come."
    )


def run(args: argparse.Namespace) -> int:
    """Capture; returns 0, or 3 if packets were lost."""
    import contextlib
    import os
    import socket

    client, sources = sources_of(args.target)
    with contextlib.ExitStack() as stack:
        if args.write == "-":
            output = sys.stdout.fileno()
        else:
            output = os.open(args.write, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            stack.callback(os.close, output)
        ours, theirs = socket.socketpair()
        stack.callback(ours.close)
        with theirs:
            process = stack.enter_context(_start(client, sources, args.count, output, theirs.fileno()))
        answers = ours.makefile("r")
        stack.callback(answers.close)
        _answer(answers)
        if not args.quiet:
            names = ", ".join(node if name is None else f"{node}:{name}" for node, name in sources)
            say(f"capturing on {names} (Ctrl-C ends)")
        try:
            found = _answer(answers)
        except KeyboardInterrupt:
            ours.shutdown(socket.SHUT_WR)
            found = _answer(answers)
        process.wait(10)
    if not args.quiet:
        say(f"{found['packets']} packets captured, {found['lost']} lost")
    return 3 if found["lost"] else 0


def _start(
    client: Client, sources: list[tuple[str, str | None]], most: int | None, output: int, control: int
) -> Any:
    import json

    request = json.dumps({"sources": sources, "most": most})
    nodes = list(dict.fromkeys(node for node, _ in sources))
    return client.start_module("netlab.measure.capture", [request], nodes=nodes, fds=[output, control])


def _answer(answers: Any) -> dict[str, Any]:
    import json

    from netlab.model.errors import LabError

    line = answers.readline()
    if not line:
        raise LabError("the capture ended before it was told to")
    found: dict[str, Any] = json.loads(line)
    if "error" in found:
        raise LabError(found["error"])
    return found


def sources_of(text: str | None) -> tuple[Client, list[tuple[str, str | None]]]:
    """The lab, and what to capture there; raises UsageError for a node or interface that is not there."""
    from netlab.cli.shell import find_target
    from netlab.model.errors import UsageError

    target, colon, interface = (text or "").partition(":")
    client, node = find_target(target or None)
    plan = client.plan
    if node is None:
        if colon:
            raise UsageError(f"{text}: an interface is one of a node: {client.name}.NODE:{interface}")
        return client, [(n.name, None) for n in plan.nodes if n.namespace == n.name and n.kind != "segment"]
    home = plan.node(plan.node(node).namespace)
    if colon:
        known = ["lo", *(found.name for found in home.interfaces)]
        if interface not in known:
            raise UsageError(f"{node} has no interface {interface!r}; there are {', '.join(known)}")
    return client, [(home.name, interface or None)]
