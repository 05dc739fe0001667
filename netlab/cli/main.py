"""The command line: dispatch verbs, report errors.

A verb is a module with ``configure(parser)`` and ``run(args) -> int``; only the requested one is imported,
and nothing large before it.
"""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

from netlab.cli.stream import ShownStream
from netlab.cli.verbs import VERBS, parser_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn


#: Exit codes beside those of netlab.model.errors.
INTERRUPTED = 130
#: Garbage collections of a tenth of Python's frequency: most of what a verb makes it needs to its end.
_COLLECT = (10_000, 20, 20)
BROKEN_PIPE = 141

_ABOUT = """\
usage: netlab [-h] [--version] VERB …

Build the network that Docker would build for a Compose file, and see which
path a packet takes through it, as the kernel's own trace events tell it.

verbs:
"""

_EPILOGUE = """
Name a node as LAB.NODE, or as NODE alone while only one lab is up.
To start: netlab up scenarios/httpd.yaml. For more: netlab VERB --help.

exit codes: 0 as expected, 1 an expectation failed, 2 usage or scenario error,
3 could not measure, 4 the machine lacks something, 5 nothing was tested,
130 interrupted, after cleaning up.
"""


def help_text() -> str:
    """What ``netlab --help`` prints."""
    width = max(map(len, VERBS))
    lines = [f"  {verb:<{width}}  {about}" for verb, (_, about) in VERBS.items()]
    return _ABOUT + "\n".join(lines) + "\n" + _EPILOGUE


def script() -> NoReturn:
    """Run the program to its end: Ctrl-C at any time gives exit code 130 and no traceback.

    Start it with SIGINT blocked if possible (``env --block-signal=INT``, as ``./install`` does), because it
    can handle interrupts only after some imports. At the end, the process exits without the interpreter's own
    cleanup, which ^C could interrupt.
    """
    import _signal as signal  # type: ignore[import-not-found]  # built in: signal itself imports enum
    import os

    code = INTERRUPTED
    sys.unraisablehook = _unraisable
    try:
        _fill_stdio()
        sys.stdout, sys.stderr = ShownStream(sys.stdout), ShownStream(sys.stderr)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        code = main()
        sys.stderr.flush()
    except KeyboardInterrupt:
        pass  # between two lines of main
    except BaseException as error:
        code = _tell(error, verbose=True, doing="netlab")
    while True:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            os._exit(code)
        except KeyboardInterrupt:
            code = INTERRUPTED


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Send an interrupt again that came where Python cannot raise (in a weakref's callback)."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        import signal

        signal.signal(signal.SIGALRM, signal.default_int_handler)
        # By then, the callback has ended, or the interrupt is sent again.
        signal.setitimer(signal.ITIMER_REAL, 0.002)
    else:
        sys.__unraisablehook__(lost)


def _fill_stdio() -> None:
    """Open those of 0, 1 and 2 that the caller has closed: otherwise, a socket could get that number, and our
    output.
    """
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
    import os

    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    gc.set_threshold(*_COLLECT)
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        try:
            code = _main(arguments)
        finally:
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_stdout()
        return BROKEN_PIPE
    except OSError as error:  # of the flush: a verb's own errors were reported before
        _forget_stdout()
        return _tell(error, verbose=False, doing="writing the output")
    except KeyboardInterrupt:
        return INTERRUPTED


def _forget_stdout() -> None:
    """The output cannot be written: the interpreter must not try to flush it at its end."""
    import os

    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _main(arguments: list[str]) -> int:
    verbose = False
    while arguments and arguments[0] in ("-v", "--verbose"):
        verbose = True
        del arguments[0]
    if not arguments:
        sys.stderr.write(help_text())
        return 2
    verb = arguments.pop(0)
    if verb in ("-h", "--help", "help"):
        if arguments and arguments[0] in VERBS:
            return _run(arguments[0], ["--help"], verbose)
        print(help_text(), end="")
        return 0
    if verb in ("-V", "--version"):
        from netlab.version import __version__

        print(f"netlab {__version__}")
        return 0
    if verb not in VERBS:
        return _unknown(verb)
    if verb == "completion" and arguments[:1] == ["--words"]:
        from netlab.cli.complete import answer

        return answer(arguments[1:])  # as they were typed: no parser may take "--" for its own
    return _run(verb, arguments, verbose)


def _unknown(verb: str) -> int:
    import difflib

    near = difflib.get_close_matches(verb, VERBS, 1)
    hint = f"did you mean {near[0]}?" if near else "netlab --help lists the verbs"
    what = "option" if verb.startswith("-") else "verb"
    sys.stderr.write(f"netlab: no {what} {verb!r} ({hint})\n")
    return 2


def parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """The arguments, with options in any place, unless all that follows belongs to a command (``exec``)."""
    from argparse import REMAINDER

    if any(action.nargs == REMAINDER for action in parser._actions):
        return parser.parse_args(arguments)
    return parser.parse_intermixed_args(arguments)


def _run(verb: str, arguments: list[str], verbose: bool) -> int:
    parser, module = parser_of(verb)
    try:
        args = parsed(parser, arguments)
    except SystemExit as stop:
        return int(stop.code or 0)
    verbose = verbose or args.verbose
    try:
        code: int = module.run(args)
        return code
    except (KeyboardInterrupt, BrokenPipeError):
        raise
    except Exception as error:
        if labs := getattr(error, "labs", ()):
            error.args = (f"{error}; for example: {_named(verb, arguments, labs[-1], error)}",)
        return _tell(error, verbose=verbose, doing=f"netlab {verb}")


def _named(verb: str, arguments: list[str], lab: str, error: Exception) -> str:
    """The command as it was typed, with the lab's name where the verb takes it."""
    import shlex

    node, words = getattr(error, "node", ""), list(arguments)
    at = next((i for i, word in enumerate(words) if node and word.partition(":")[0] == node), None)
    if at is None:
        words.insert(0, lab)
    else:
        words[at] = f"{lab}.{words[at]}"
    return shlex.join(["netlab", verb, *words])


def _tell(error: BaseException, *, verbose: bool, doing: str) -> int:
    """Report an error on stderr; returns the exit code. Any error other than a NetlabError is a bug."""
    from netlab.model.errors import NetlabError, ScenarioError, exhausted
    from netlab.view.plain import visible

    sys.stdout.flush()
    known = error if isinstance(error, NetlabError) else exhausted(error, doing)
    if verbose or known is None:
        import traceback

        sys.stderr.write(visible("".join(traceback.format_exception(error))))
    shown = known or error
    sys.stderr.write(visible(f"{shown}\n" if isinstance(shown, ScenarioError) else f"netlab: {shown}\n"))
    sys.stderr.flush()
    return known.exit_code if known is not None else 1
