"""The verbs: their modules, what each does, and their parsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from types import ModuleType


#: verb → (module, what it does), in the order in which the help shows them.
#: verbs that draw journeys; what -v does for the others, and for these
_JOURNEYS = ("probe", "trace", "verify")
_VERBOSE = (
    "show the traceback of an error",
    "show every jump of a journey, and the traceback of an error",
)
VERBS = {
    "up": ("netlab.cli.up", "build a lab from a scenario and leave it running"),
    "down": ("netlab.cli.down", "take labs down"),
    "ls": ("netlab.cli.ls", "list running labs"),
    "status": ("netlab.cli.status", "show a lab: nodes, addresses, ports, processes"),
    "exec": ("netlab.cli.exec", "run a command in a node"),
    "shell": ("netlab.cli.shell", "open a shell in a node, or in a lab"),
    "rules": ("netlab.cli.rules", "show a node's firewall rules, with counters and reasons"),
    "sockets": ("netlab.cli.sockets", "show listening sockets, their owners and published ports"),
    "do": ("netlab.cli.do", "change a lab's engine: restart a container, flush the firewall"),
    "probe": ("netlab.cli.probe", "show the path of a flow, rule by rule"),
    "trace": ("netlab.cli.trace", "show the paths of other programs' traffic"),
    "verify": ("netlab.cli.verify", "check what scenarios expect, each in a lab of its own"),
    "matrix": ("netlab.cli.matrix", "show who can reach what, by which path, as whom"),
    "diff": ("netlab.cli.diff", "show what another engine, setting or firewall changes"),
    "explain": ("netlab.cli.explain", "find the rule that blocks or allows a flow, and try the change"),
    "capture": ("netlab.cli.capture", "capture the packets on nodes' interfaces to a pcapng file"),
    "gallery": ("netlab.cli.gallery", "list the scenarios that come with netlab, or write one"),
    "init": ("netlab.cli.init", "write a scenario for a folder's Compose file"),
    "plan": ("netlab.cli.plan", "show what would be built, without building it"),
    "doctor": ("netlab.cli.doctor", "check what this machine offers and lacks"),
    "clean": ("netlab.cli.clean", "remove what killed labs left behind"),
    "completion": ("netlab.cli.completion", "print a shell's completion script"),
}


def columns() -> int:
    """The terminal's width; argparse would use shutil, which imports three compressors."""
    import os

    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns) or 80
    except (OSError, ValueError):  # no terminal, or COLUMNS is not a number
        return 80


def parser_of(verb: str) -> tuple[argparse.ArgumentParser, ModuleType]:
    """The argument parser of a verb, and its module."""
    import argparse
    import importlib
    from functools import partial

    from netlab.cli.help import HelpFormatter

    name, about = VERBS[verb]
    module = importlib.import_module(name)
    parser = argparse.ArgumentParser(
        prog=f"netlab {verb}",
        description=about[0].upper() + about[1:] + ".",
        formatter_class=partial(HelpFormatter, width=columns() - 2),
        allow_abbrev=False,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help=_VERBOSE[verb in _JOURNEYS])
    module.configure(parser)
    return parser, module
