"""The arguments of ``netlab do``."""

from __future__ import annotations

import argparse

from netlab.cli.help import examples, hint


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    hint(parser.add_argument("lab", metavar="LAB", help="default: the one running lab", nargs="?"), "lab")
    hint(parser.add_argument("event", nargs=argparse.REMAINDER, metavar="EVENT", help="the event"), "event")
    parser.add_argument("--json", action="store_true", help="print what happened as JSON")
    parser.epilog = (
        "start|stop|restart|remove CONTAINER     connect|disconnect CONTAINER NETWORK\n"
        "create|remove network NETWORK           start|stop|restart daemon [HOST]\n"
        "reload|flush firewall [HOST]            configure daemon [HOST] KEY=VALUE...\n"
        "reload|flush rules [HOST]               reload networks [CONTAINER]\n"
        "up|down link NODE INTERFACE             reboot host [HOST]\n"
        "run NODE COMMAND\n\n"
        "These are the words of x-netlab.events (docs/scenario.md says what each does). Containers and "
        "networks are those of the scenario. "
        "Everything that the event does not concern stays: namespaces, connections, and rules that "
        "others added. The engine acts on the host as it is. If it fails as Docker does, for example because "
        "its chains were deleted, the exit code is 1, and the lab is in the state that Docker leaves behind. "
        "If the kernel refuses something that netlab itself does, the change is undone."
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
