"""The command line: dispatch verbs, report errors.

Only the modules of the requested verb are imported (:func:`netlab.cli.verbs.load`), and nothing large before
them.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # built in: signal itself imports enum
import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from netlab.cli.stream import ShownStream
from netlab.cli.verbs import VERBS, load
from netlab.version import __version__

#: Exit codes beside those of netlab.model.errors.
INTERRUPTED = 130
#: Garbage collections of a tenth of Python's frequency: most of what a verb makes it needs to its end.
_COLLECT = (10_000, 20, 20)
BROKEN_PIPE = 141

_ABOUT = """\
usage: netlab [-h] [--version] VERB ...

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
    lines = [f"  {verb:<{width}}  {about}" for verb, about in VERBS.items()]
    return _ABOUT + "\n".join(lines) + "\n" + _EPILOGUE


def script() -> NoReturn:
    """Run the program to its end: Ctrl-C at any time gives exit code 130 and no traceback.

    Start it with SIGINT blocked if possible (``env --block-signal=INT``, as ``./install`` does), because it
    can handle interrupts only after some imports. At the end, the process exits without the interpreter's own
    cleanup, which ^C could interrupt.
    """
    code = INTERRUPTED
    sys.unraisablehook = _unraisable
    try:
        _fill_stdio()
        sys.stdout, sys.stderr = ShownStream(sys.stdout), ShownStream(sys.stderr)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, {_signal.SIGINT})
        code = main()
        sys.stderr.flush()
    except KeyboardInterrupt:
        pass  # between two lines of main
    except BaseException as error:
        code = _tell(error, verbose=True, doing="netlab")
    while True:
        try:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, {_signal.SIGINT})
            os._exit(code)
        except KeyboardInterrupt:
            code = INTERRUPTED


def _unraisable(lost: sys.UnraisableHookArgs) -> None:
    """Send an interrupt again that came where Python cannot raise (in a weakref's callback)."""
    if isinstance(lost.exc_value, KeyboardInterrupt):
        _signal.signal(_signal.SIGALRM, _signal.default_int_handler)
        # By then, the callback has ended, or the interrupt is sent again.
        _signal.setitimer(_signal.ITIMER_REAL, 0.002)
    else:
        sys.__unraisablehook__(lost)


def _fill_stdio() -> None:
    """Open those of 0, 1 and 2 that the caller has closed: otherwise, a socket could get that number, and our
    output.
    """
    if sys.stdin is not None and sys.stdout is not None and sys.stderr is not None:
        return
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
        print(f"netlab {__version__}")
        return 0
    if verb not in VERBS:
        unknown: int = load("failure").unknown(verb)
        return unknown
    if verb == "completion" and arguments[:1] == ["--words"]:
        answered: int = load("complete").answer(arguments[1:])
        return answered  # as they were typed: no parser may take "--" for its own
    return _run(verb, arguments, verbose)


def _run(verb: str, arguments: list[str], verbose: bool) -> int:
    def tell(error: Exception, verbose: bool) -> int:
        load("failure").named(verb, arguments, error)
        return _tell(error, verbose=verbose, doing=f"netlab {verb}")

    code: int = load("run").run(verb, arguments, verbose, tell)
    return code


def _tell(error: BaseException, *, verbose: bool, doing: str) -> int:
    """Say what went wrong, on stderr; returns the exit code."""
    code: int = load("failure").tell(error, verbose=verbose, doing=doing)
    return code
