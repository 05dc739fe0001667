"""What becomes of errors on the command line: words on stderr, and an exit code."""

from __future__ import annotations

import shlex
import sys

from netlab.cli.verbs import VERBS
from netlab.model.errors import NetlabError, exhausted
from netlab.model.near import nearest
from netlab.view.plain import visible


def unknown(verb: str) -> int:
    """Say that there is no such verb; returns the exit code."""
    near = nearest(verb, VERBS)
    hint = f"did you mean {near}?" if near else "netlab --help lists the verbs"
    what = "option" if verb.startswith("-") else "verb"
    sys.stderr.write(f"netlab: no {what} {verb!r} ({hint})\n")
    return 2


def tell(error: BaseException, *, verbose: bool, doing: str) -> int:
    """Report an error on stderr; returns the exit code. Any error other than a NetlabError is a bug."""
    sys.stdout.flush()
    known = error if isinstance(error, NetlabError) else exhausted(error, doing)
    if verbose or known is None:
        sys.__excepthook__(type(error), error, error.__traceback__)
    shown = known or error
    positioned = isinstance(shown, NetlabError) and shown.positioned
    sys.stderr.write(visible(f"{shown}\n" if positioned else f"netlab: {shown}\n"))
    sys.stderr.flush()
    return known.exit_code if known is not None else 1


def named(verb: str, arguments: list[str], error: Exception) -> None:
    """Add an example to an error that asks for the name of a lab."""
    if labs := getattr(error, "labs", ()):
        error.args = (f"{error}; for example: {_named(verb, arguments, labs[-1], error)}",)


def _named(verb: str, arguments: list[str], lab: str, error: Exception) -> str:
    """The command as it was typed, with the lab's name where the verb takes it."""
    node, words = getattr(error, "node", ""), list(arguments)
    at = next((i for i, word in enumerate(words) if node and word.partition(":")[0] == node), None)
    if at is None:
        words.insert(0, lab)
    else:
        words[at] = f"{lab}.{words[at]}"
    return shlex.join(["netlab", verb, *words])
