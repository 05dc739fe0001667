"""``netlab do``: change the engine's state in a running lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netlab.cli.common import print_json, say
from netlab.cli.complete import hint
from netlab.cli.help import examples

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    import argparse

    hint(parser.add_argument("lab", metavar="LAB", help="default: the one running lab", nargs="?"), "lab")
    hint(parser.add_argument("event", nargs=argparse.REMAINDER, metavar="EVENT", help="the event"), "event")
    parser.add_argument("--json", action="store_true", help="print what happened as JSON")
    parser.epilog = (
        "start|stop|restart|remove CONTAINER     connect|disconnect CONTAINER NETWORK\n"
        "create|remove network NETWORK           start|stop|restart daemon [HOST]\n"
        "reload|flush firewall [HOST]            configure daemon [HOST] KEY=VALUE...\n"
        "reload|flush rules [HOST]               reboot host [HOST]\n"
        "up|down link NODE INTERFACE             run NODE COMMAND\n\n"
        "These are the words of x-netlab.events (docs/scenario.md says what each does). Containers and "
        "networks are those of the scenario. "
        "Everything that the event does not concern stays: namespaces, connections, and rules that "
        "others added. The engine acts on the host as it is. If it fails as Docker does, for example because "
        "its chains were deleted, the exit code is 1, and the lab is in the state that Docker leaves behind."
    )
    examples(
        parser,
        ("netlab do restart web", "restart a container of the one running lab"),
        ("netlab do shop flush firewall", "flush the firewall of the lab shop"),
        (
            "netlab do configure daemon icc=false",
            "edit daemon.json, which the daemon reads at its next start",
        ),
    )


def run(args: argparse.Namespace) -> int:
    """Change the engine's state; returns 0."""
    import shlex

    from netlab.cli.status import the_lab
    from netlab.model.errors import UsageError
    from netlab.model.event import words_of
    from netlab.scenario.events import VERBS

    words = [args.lab, *args.event] if args.lab in VERBS else list(args.event)
    args.json |= "--json" in words  # after LAB, it is one of the event's words
    words = [word for word in words if word != "--json"]
    client = the_lab(None if args.lab in VERBS else args.lab)
    if not words:
        raise UsageError(f"say what to change in {client.name} (netlab do {client.name} EVENT)")
    text = words[0] if len(words) == 1 else shlex.join(words)
    events, warnings = client.do(text, "netlab do")
    happened = [words_of(event) for event in events]
    for warning in warnings:
        say(f"{client.name}: {warning}")
    if args.json:
        print_json({"lab": client.name, "events": happened, "warnings": warnings})
    else:
        for text in happened or ["nothing happened"]:
            say(f"{client.name}: {text}")
    return 0
