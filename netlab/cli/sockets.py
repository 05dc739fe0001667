"""``netlab sockets``: who listens, in which namespace, and for which published port."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from netlab.cli.common import print_json
from netlab.cli.complete import hint
from netlab.model.family import endpoint

if TYPE_CHECKING:
    import argparse

    from netlab.lab.client import Client
    from netlab.model.plan import Node


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(
        parser.add_argument(
            "target",
            nargs="?",
            metavar="LAB|[LAB.]NODE",
            help="one lab, or one node alone; default: the one lab",
        ),
        "target",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(args: argparse.Namespace) -> int:
    """Show the sockets; returns 0."""
    from netlab.cli.shell import find_target

    client, node = find_target(args.target)
    entries = sockets(client, node)
    if args.json:
        print_json({"lab": client.name, "sockets": entries})
        return 0
    rows = [
        (
            entry["node"],
            entry["protocol"],
            endpoint(entry["address"], entry["port"]),
            ", ".join(f"{process['name']} ({process['pid']})" for process in entry["processes"]) or "-",
            entry["reason"] or "",
        )
        for entry in entries
    ]
    head = ("NODE", "PROTO", "LISTENS ON", "PROCESS (PID IN THE LAB)", "FOR")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]
    for row in [head, *rows]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, row[4]]).rstrip() + "\n")
    return 0


def sockets(client: Client, node: str | None) -> list[dict[str, Any]]:
    """Every listening socket of the lab, or of one node's namespace, in the order of the plan."""
    import json
    import tempfile

    from netlab.model.errors import LabError

    plan = client.plan
    wanted = [n.name for n in plan.nodes if n.namespace == n.name and n.kind != "segment"]
    if node is not None:
        wanted = [plan.node(node).namespace]
    with tempfile.TemporaryFile() as output, open("/dev/null", "rb") as null:
        stdio = (null.fileno(), output.fileno(), 2)
        with client.start_module("netlab.lab.socketlist", nodes=wanted, stdio=stdio) as process:
            code = process.wait()
        output.seek(0)
        if code != 0:
            raise LabError(f"listing the sockets of {client.name} failed")
        found, owners = json.load(output)
    return [
        {
            "node": name,
            "protocol": protocol,
            "address": address,
            "port": port,
            "processes": [{"pid": pid, "name": comm} for pid, comm in owners.get(str(inode), [])],
            "reason": _reason(plan.nodes, name, protocol, address, port),
        }
        for name, protocol, address, port, inode in found
    ]


def _reason(nodes: tuple[Node, ...], namespace: str, protocol: str, address: str, port: int) -> str | None:
    """What the plan says of a socket; None if it does not know it."""
    for node in nodes:
        if node.namespace != namespace:
            continue
        for listener in node.listeners:
            if (listener.protocol, listener.port, listener.address) == (protocol, port, address):
                return listener.reason
        for responder in node.responders:
            if (responder.protocol, responder.port) == (protocol, port):
                return f"the built-in answer of {responder.service}"
        if node.command:
            return f"the command of {node.name}"
    return None
