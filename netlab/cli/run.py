"""Run one verb: its arguments, then what it does."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from netlab.cli.help import HelpFormatter, columns
from netlab.cli.verbs import VERBS, load

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
        code: int = load(verb).run(args)
        return code
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        return tell(error, verbose or args.verbose)
