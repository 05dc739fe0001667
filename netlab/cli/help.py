"""How help is laid out: paragraphs are wrapped, tables and examples stay as they are."""

from __future__ import annotations

import argparse
import os

#: What a FLOW may be, for the help of the verbs that take one.
FLOW_GRAMMAR = """\
FLOW is ORIGIN[:PORT] -> TARGET[:PORTS][/PROTOCOL] [via NODE] [from ADDRESS]
[size OCTETS].
ORIGIN: a node, a glob (web*) or a list ([client,neighbour]).
TARGET: a node, NODE@NETWORK, localhost, gateway[@NETWORK], 192.0.2.1,
[2001:db8::1] or [fe80::1%eth0].
PORTS: 80, 80-90, a list ([80,443]) or *. PROTOCOL: tcp (default), udp, sctp or icmp."""


def examples(parser: argparse.ArgumentParser, *shown: tuple[str, str]) -> None:
    """Add examples, (command, what it does), below the help; the manual reads them from ``shown``."""
    parser.shown_examples = shown  # type: ignore[attr-defined]
    lines = "\n".join(f"  {command}\n      {meaning}" for command, meaning in shown)
    parser.epilog = "\n\n".join(filter(None, (parser.epilog, f"examples:\n{lines}")))


def hint(action: argparse.Action, kind: str) -> argparse.Action:
    """Say what completes ``action``: file, lab, node, target (lab or node), event, engine or firewall."""
    action.completes = kind  # type: ignore[attr-defined]
    return action


def add_target(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    """The argument ``target``, which may be omitted: a lab or a node, and completed as such."""
    hint(parser.add_argument("target", nargs="?", metavar=metavar, help=text), "target")


def columns() -> int:
    """The terminal's width; argparse would use shutil, which imports three compressors."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns) or 80
    except (OSError, ValueError):  # no terminal, or COLUMNS is not a number
        return 80


class HelpFormatter(argparse.HelpFormatter):
    """Wraps each paragraph of a description; keeps paragraphs with line breaks."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n\n".join(part if "\n" in part else fill(part, width, indent) for part in text.split("\n\n"))
