"""``netlab sockets``: who listens, in which namespace, and for which published port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli.json_objects import object_of
from netlab.cli.output import print_json, print_text, width
from netlab.cli.shell import find_target
from netlab.lab.client.sockets import sockets
from netlab.model.family import endpoint
from netlab.view.ruleset import beside

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import SocketsDocument


def run(args: argparse.Namespace) -> int:
    """Show the sockets; returns 0."""
    client, node = find_target(args.target)
    found = sockets(client, node)
    if args.json:
        document: SocketsDocument = {"lab": client.name, "sockets": [object_of(one) for one in found]}
        print_json(document)
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
