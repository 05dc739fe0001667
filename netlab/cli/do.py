"""``netlab do``: change the engine's state in a running lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli.output import print_json, say
from netlab.cli.status import the_lab
from netlab.lab.client.changes import do
from netlab.model.errors import UsageError
from netlab.model.event import words_of
from netlab.scenario.events import VERBS

if TYPE_CHECKING:
    import argparse

    from netlab.cli.documents import DoDocument
import shlex


def run(args: argparse.Namespace) -> int:
    """Change the engine's state; returns 0."""
    words = [args.lab, *args.event] if args.lab in VERBS else list(args.event)
    args.json |= "--json" in words  # after LAB, it is one of the event's words
    words = [word for word in words if word != "--json"]
    client = the_lab(None if args.lab in VERBS else args.lab)
    if not words:
        raise UsageError(f"say what to change in {client.name} (netlab do {client.name} EVENT)")
    text = words[0] if len(words) == 1 else shlex.join(words)
    events, warnings = do(client, text, "netlab do")
    happened = [words_of(event) for event in events]
    for warning in warnings:
        say(f"{client.name}: {warning}")
    if args.json:
        document: DoDocument = {"lab": client.name, "events": happened, "warnings": warnings}
        print_json(document)
    else:
        for text in happened or ["nothing happened"]:
            say(f"{client.name}: {text}")
    return 0
