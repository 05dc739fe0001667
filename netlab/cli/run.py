"""Run one verb: its arguments, then what it does."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from netlab.cli.help import HelpFormatter, columns
from netlab.cli.verbs import VERBS, load
from netlab.model.archive_head import HEAD, is_archive

#: verbs that draw journeys; what -v does for the others, and for these
_JOURNEYS = ("probe", "trace", "verify")
_VERBOSE = (
    "show the traceback of an error",
    "show every jump of a journey, and the traceback of an error",
)


def parser_of(verb: str) -> argparse.ArgumentParser:
    """The argument parser of a verb."""
    about = VERBS[verb]
    parser = argparse.ArgumentParser(
        prog=f"netlab {verb}",
        description=about[0].upper() + about[1:] + ".",
        formatter_class=partial(HelpFormatter, width=columns() - 2),
        allow_abbrev=False,
    )
    parser.add_argument("-v", "--verbose", action="store_true", help=_VERBOSE[verb in _JOURNEYS])
    load(f"arguments.{verb}").configure(parser)
    return parser


def parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """The arguments, with options in any place, unless all that follows belongs to a command (``exec``)."""
    places = [action for action in parser._actions if not action.option_strings]
    if not places or any(action.nargs == argparse.REMAINDER for action in places):
        return parser.parse_args(arguments)
    return parser.parse_intermixed_args(arguments)


def run(verb: str, arguments: list[str], verbose: bool, tell: Callable[[Exception, bool], int]) -> int:
    """Run a verb; returns the exit code. ``tell`` says what went wrong, and returns it."""
    try:
        args = parsed(parser_of(verb), arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        with _archives_read(verb, args):
            code: int = load(verb).run(args)
        return code
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        return tell(error, verbose or args.verbose)


def _archives_read(verb: str, args: argparse.Namespace) -> AbstractContextManager[None]:
    """Where the words of scenario files name archives of ``netlab collect``, their twins are meant."""
    named = [*getattr(args, "files", ()), *(getattr(args, "merged", None) or ())]
    if getattr(args, "predict", False) and getattr(args, "lab", None):
        named.append(args.lab)
    archives = frozenset(filter(_is_archive, named))
    if not archives:
        return nullcontext()
    found: AbstractContextManager[None] = load("collections").twins_in_place_of(archives, verb, args)
    return found


def _is_archive(path: str) -> bool:
    """Whether a word of the command line is a file that begins as a tar or a gzip archive does."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return is_archive(file.read(HEAD))
    except OSError:
        return False
