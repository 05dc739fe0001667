"""``netlab status``: the nodes and processes of one lab."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from netlab.cli.output import colours, print_json, print_text, say
from netlab.lab import state
from netlab.lab.client.client import Client, find_lab
from netlab.lab.client.process import ending
from netlab.model.errors import SeveralLabsError, UsageError
from netlab.model.shown import shown_in_line
from netlab.view import lab as view

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import StatusDocument


def run(args: argparse.Namespace) -> int:
    """Show the lab; returns 0, or 1 if one of its processes has died or a change has failed half-way."""
    client = the_lab(args.lab)
    status = client.status()
    dead = [process for process in status["processes"] if process["returncode"] is not None]
    if args.json:
        print_json(_document(client, status))
    else:
        colour = colours(sys.stdout)
        print_text("\n".join(view.picture(client.plan, colour=colour)), styles=colour)
        print_text()
        print_text("\n".join(_processes(client, status["processes"])))
        for warning in client.record.get("warnings", ()):
            say(f"{client.name}: {warning}")
    for process in dead:
        say(f"{client.name}: {process['kind']} {process['node']} has ended ({ending(process['returncode'])})")
    return 1 if dead or client.record.get("broken") else 0


def the_lab(name: str | None) -> Client:
    """The lab of that name, or the only one; raises UsageError."""
    if name is not None:
        return find_lab(name)
    standing = state.standing()
    if len(standing) == 1:
        return Client(standing[0])
    if not standing:
        raise UsageError("no lab is up (netlab up FILE)")
    names = [found.name for found in standing]
    raise SeveralLabsError(f"several labs are up; name one: {', '.join(names)}", names)


def _document(client: Client, status: dict[str, Any]) -> StatusDocument:
    record = client.record
    return {
        **view.document(client.plan),
        "files": record["files"],
        "created": record["created"],
        "pid": record["pid"],
        "owner": record["owner"],
        "version": record["version"],
        "warnings": record.get("warnings"),
        "processes": status["processes"],
    }


def _processes(client: Client, processes: list[dict[str, Any]]) -> list[str]:
    lines = [f"  supervisor  pid {client.record.get('pid')}"]
    lines += [f"  log         {client.path}/log"]
    for process in processes:
        words = [
            f"  {process['kind']:<10} ",
            f"pid {process['pid']} in the lab",
            process["node"],
            process["label"],
        ]
        if process["returncode"] is not None:
            words.append(f"ended: {ending(process['returncode'])}")
        lines.append("  ".join(shown_in_line(word) for word in words if word))
    return lines
