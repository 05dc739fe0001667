"""The verbs, and the door through which each one's modules are loaded."""

from __future__ import annotations

import sys
from types import ModuleType

#: verb → what it does, in the order in which the help shows them.
VERBS = {
    "up": "build a lab from a scenario and leave it running",
    "down": "take labs down",
    "ls": "list running labs",
    "status": "show a lab: nodes, addresses, ports, processes",
    "exec": "run a command in a node",
    "shell": "open a shell in a node, or in a lab",
    "rules": "show a node's firewall rules, with counters and reasons",
    "sockets": "show listening sockets, their owners and published ports",
    "do": "change a lab's engine: restart a container, flush the firewall",
    "probe": "show the path of a flow, rule by rule",
    "trace": "show the paths of other programs' traffic",
    "verify": "check what scenarios expect, each in a lab of its own",
    "matrix": "show who can reach what, by which path, as whom",
    "report": "write what a matrix measured as a page: play journeys, see dead rules",
    "serve": "a page that shows a lab's traffic while it happens",
    "exposure": "show what becomes of all packets at once, and prove it",
    "bench": "measure what each way into a lab costs",
    "diff": "show what another engine, setting or firewall changes",
    "explain": "find the rule that blocks or allows a flow, and try the change",
    "collect": "take this host's rules, addresses, listeners and containers as a file",
    "twin": "make a scenario of a collected host",
    "drift": "find what on a host is not as its engine would have written it",
    "capture": "capture the packets on nodes' interfaces to a pcapng file",
    "demo": "guided lessons: predict, measure, change, and see",
    "gallery": "list the scenarios that come with netlab, or write one",
    "engines": "list the engines: versions, default settings, how each was checked",
    "init": "write a scenario for a folder's Compose file",
    "plan": "show what would be built, without building it",
    "graph": "draw the topology: terminal, Mermaid, Graphviz or SVG",
    "doctor": "check what this machine offers and lacks",
    "clean": "remove what killed labs left behind",
    "completion": "print a shell's completion script",
}


def load(name: str) -> ModuleType:
    """A module of this room: ``arguments.VERB``, which has ``configure(parser)``, or ``VERB``, which has
    ``run(args) -> int``.

    A door: `netlab ls` imports nothing of the other verbs, and completion nothing that a verb does.
    """
    __import__(f"netlab.cli.{name}")
    return sys.modules[f"netlab.cli.{name}"]
