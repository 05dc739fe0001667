"""``netlab do``: something happens to the engine of a lab that stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netlab.cli.common import print_json, say
from netlab.cli.complete import hint
from netlab.cli.help import examples

if TYPE_CHECKING:
    import argparse

    from netlab.lab.client.client import Client
    from netlab.lab.state import Lock
    from netlab.model.event import Event


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    import argparse

    hint(parser.add_argument("lab", metavar="LAB", help="default: the one running lab", nargs="?"), "lab")
    parser.add_argument("event", nargs=argparse.REMAINDER, metavar="EVENT", help="the event")
    parser.add_argument("--json", action="store_true", help="print what happened as JSON")
    parser.epilog = (
        "start|stop|restart|remove CONTAINER     connect|disconnect CONTAINER NETWORK\n"
        "create|remove network NETWORK           start|stop|restart daemon [HOST]\n"
        "reload|flush firewall [HOST]\n\n"
        "These are the words of x-netlab.events. Containers and networks are those of the scenario. "
        "Everything that the event does not concern stays: namespaces, connections, and rules that "
        "others added."
    )
    examples(
        parser,
        ("netlab do restart web", "restart a container of the one running lab"),
        ("netlab do shop flush firewall", "flush the firewall of the lab shop"),
    )


def run(args: argparse.Namespace) -> int:
    """Let it happen; returns 0."""
    from netlab.cli.status import the_lab
    from netlab.lab.state import Lock
    from netlab.model.errors import UsageError
    from netlab.scenario.events import VERBS

    words = [args.lab, *args.event] if args.lab in VERBS else list(args.event)
    args.json |= "--json" in words  # behind LAB it is one of its words
    words = [word for word in words if word != "--json"]
    client = the_lab(None if args.lab in VERBS else args.lab)
    if not words:
        raise UsageError(f"what is to happen to {client.name}? (netlab do {client.name} EVENT)")
    with Lock(client.name) as lock:
        happened, warnings = _do(client, lock, " ".join(words))
    for warning in warnings:
        say(f"{client.name}: {warning}")
    if args.json:
        print_json({"lab": client.name, "events": happened, "warnings": warnings})
    else:
        for text in happened or ["nothing happened"]:
            say(f"{client.name}: {text}")
    return 0


def _do(client: Client, lock: Lock, words: str) -> tuple[list[str], list[str]]:
    from netlab.lab.options import counts_of
    from netlab.model.errors import Position
    from netlab.plan.change import happen
    from netlab.scenario.events import parse_event

    change = happen(client.history, parse_event(words, Position("netlab do", 1, 1)))
    if not change.events:
        return [], []
    record: dict[str, Any] = {"digest": "", **counts_of(change.plan)}
    warnings = client.change(lock, change, record)
    return [told(event) for event in change.events], warnings


def told(event: Event) -> str:
    """What happened, in the words of the engine's own command line."""
    from netlab.model import event as events

    match event:
        case events.NetworkCreate(network):
            return f"network {network.name} is created"
        case events.NetworkRemove(name):
            return f"network {name} is removed"
        case events.ContainerStart(container):
            return f"container {container.node} is run"
        case events.ContainerStop(node):
            return f"container {node} is stopped"
        case events.ContainerRestart(node, if_stopped):
            return f"container {node} is {'started' if if_stopped else 'restarted'}"
        case events.ContainerRemove(node):
            return f"container {node} is removed"
        case events.Connect(node, endpoint):
            return f"container {node} is connected to {endpoint.network}"
        case events.Disconnect(node, name):
            return f"container {node} is disconnected from {name}"
        case events.DaemonStop():
            return "the daemon is stopped"
        case events.DaemonStart():
            return "the daemon is started"
        case events.FirewallReload():
            return "the firewall is reloaded"
        case events.FirewallFlush():
            return "the firewall is flushed"
