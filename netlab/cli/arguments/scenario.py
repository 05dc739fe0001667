"""The options that several verbs share: files, and everything that changes what a scenario means."""

from __future__ import annotations

import argparse
from typing import Any

from netlab.cli.help import hint
from netlab.lab.options import OPTIONS, LabOption


def add_scenario_options(
    parser: argparse.ArgumentParser,
    *,
    several: bool = False,
    variants: bool = False,
    programs: bool = False,
) -> None:
    """Positional files and everything that changes what a scenario means.

    ``several``: each positional file is its own scenario. ``-f`` files are merged into one. ``variants``:
    engines and firewalls may be given more than once, and are lists. ``programs``: the verb takes
    ``--allow-programs``, too.
    """
    files = "scenario files, one lab for each" if several else "the scenario file"
    joined = "; a + between two files puts two Compose projects on one host"
    where = f"{joined}; default: netlab.yaml or the Compose file of this folder"
    hint(parser.add_argument("files", nargs="*", metavar="FILE", help=files + where), "file")
    hint(
        parser.add_argument(
            "-f", "--file", action="append", default=[], metavar="FILE", dest="merged",
            help="file of one scenario; repeat it to merge several by Compose's rules",
        ),
        "file",
    )  # fmt: skip
    for name, option in OPTIONS.items():
        if option.flags and (programs or option.reader != "lab"):
            _add_option(parser, name, option, often=variants and option.axis)


def add_on(parser: argparse.ArgumentParser, instead: str = ", in the place of --jobs") -> None:
    """Where the labs of a sweep are built; ``instead`` of what, for the help."""
    parser.add_argument(
        "--on", metavar="dask://HOST:PORT",
        help=f"build the labs on the workers of this dask.distributed scheduler{instead}",
    )  # fmt: skip


def _add_option(parser: argparse.ArgumentParser, name: str, option: LabOption, *, often: bool) -> None:
    """Add one of a lab's options; ``often``: it may be repeated, even if a lab takes one value."""
    more: dict[str, Any] = {"metavar": option.metavar, "help": option.help}
    if option.kind.form == "flag":
        more = {"action": "store_true", "help": option.help}
    elif often or option.kind.form == "list":
        more |= {"action": "append", "default": [], "help": f"{option.help}; may be repeated"}
    action = parser.add_argument(*option.flags, dest=name, **more)
    if option.completes:
        hint(action, option.completes)
