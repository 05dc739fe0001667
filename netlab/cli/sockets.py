"""``netlab sockets``: who listens, in which namespace, and for which published port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli.common import print_json, print_text, width
from netlab.cli.complete import hint
from netlab.model.family import endpoint

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(
        parser.add_argument(
            "target",
            nargs="?",
            metavar="LAB|[LAB.]NODE",
            help="a lab or one of its nodes; default: the one running lab",
        ),
        "target",
    )
    parser.epilog = "PIDs are those that programs in the lab see."
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Show the sockets; returns 0."""
    from dataclasses import asdict

    from netlab.cli.shell import find_target
    from netlab.lab.client.sockets import sockets
    from netlab.view.ruleset import beside

    client, node = find_target(args.target)
    found = sockets(client, node)
    if args.json:
        print_json({"lab": client.name, "sockets": [asdict(one) for one in found]})
        return 0
    rows = [
        (
            one.node,
            one.protocol,
            endpoint(one.address, one.port),
            ", ".join(f"{holder.name} ({holder.pid})" for holder in one.processes) or "-",
            one.reason or "",
        )
        for one in found
    ]
    head = ("NODE", "PROTO", "LISTENS ON", "PROCESS (PID)", "FOR")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]
    for row in [head, *rows]:
        cells = [cell.ljust(wide) for cell, wide in zip(row, widths, strict=False)]
        for line in beside("  ".join(cells), row[4], width()):
            print_text(line)
    return 0
