"""The manual, generated from the verbs' parsers: ``docs/verbs.md`` and the pages in ``docs/man``.

``python -m netlab.cli.manual docs`` writes them; a test checks that they are up to date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from netlab.cli.run import parser_of
from netlab.cli.verbs import VERBS

EXIT_CODES = (
    (0, "as expected"),
    (1, "an expectation failed, or a running lab reported an error"),
    (2, "usage or scenario error, found before anything was built"),
    (3, "could not measure, so there is no result"),
    (4, "this machine lacks something: privileges, a tool, a kernel feature"),
    (5, "nothing was tested"),
    (130, "interrupted, after cleaning up"),
)

FILES = (
    ("/run/netlab/LAB/", "the state of a lab, as root; $XDG_RUNTIME_DIR/netlab/LAB/ without"),
    ("/run/netns/LAB.NODE", "a name for each node of a lab, for ip netns exec; as root only"),
)

PREAMBLE = """\
# Verbs

<!-- Made by `python -m netlab.cli.manual docs` from the verbs' own parsers. -->

Data goes to stdout, messages go to stderr. `--json` prints [documents with a schema](json.md). Colours
and progress appear on a terminal only; `NO_COLOR` turns colours off. Name a node as `LAB.NODE`, or as `NODE`
alone while only one lab is up.
"""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a verb: how it is written, and what it does."""

    form: str
    help: str


@dataclass(frozen=True, slots=True)
class Verb:
    """The manual's entry of one verb."""

    name: str
    about: str
    usage: str
    positionals: tuple[Argument, ...]
    options: tuple[Argument, ...]
    epilogue: str
    examples: tuple[tuple[str, str], ...]


def _metavar(action: argparse.Action) -> str:
    if isinstance(action.metavar, str):
        return action.metavar
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper()


def _positional_usage(action: argparse.Action) -> str:
    name = _metavar(action)
    if action.nargs in ("*", argparse.REMAINDER):
        return f"[{name}…]"
    if action.nargs == "+":
        return f"{name}…"
    return f"[{name}]" if action.nargs == "?" else name


def _option_form(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {_metavar(action)}"
    return ", ".join(action.option_strings) + value


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    values = {**vars(action), "prog": parser.prog}
    return (action.help or "") % values if action.help else ""


def verb(name: str) -> Verb:
    """The manual's entry from the parser of a verb."""
    parser = parser_of(name)
    shown = [action for action in parser._actions if action.help is not argparse.SUPPRESS]
    positionals = [action for action in shown if not action.option_strings]
    options = [action for action in shown if action.option_strings]
    usage = " ".join(["netlab", name, "[OPTION…]", *map(_positional_usage, positionals)])
    return Verb(
        name,
        VERBS[name],
        usage,
        tuple(Argument(_metavar(action), _help(parser, action)) for action in positionals),
        tuple(Argument(_option_form(action), _help(parser, action)) for action in options),
        (parser.epilog or "").partition("examples:\n")[0].strip(),
        getattr(parser, "shown_examples", ()),
    )


def _markdown_of(entry: Verb) -> Iterator[str]:
    yield from ("", f"## {entry.name}", "", f"{entry.about[0].upper()}{entry.about[1:]}.", "")
    yield from ("```", entry.usage, "```", "", "| argument | |", "|---|---|")
    for argument in (*entry.positionals, *entry.options):
        escaped = argument.help.replace("|", "\\|")
        yield f"| `{argument.form}` | {escaped} |"
    if entry.epilogue:
        yield from ("", entry.epilogue)
    if entry.examples:
        yield from ("", "```sh")
        for command, meaning in entry.examples:
            yield f"{command}  # {meaning}"
        yield "```"


def markdown() -> str:
    """The whole of ``docs/verbs.md``."""
    lines = [PREAMBLE, "| verb | |", "|---|---|"]
    lines += [f"| [`{name}`](#{name}) | {about} |" for name, about in VERBS.items()]
    for name in VERBS:
        lines += _markdown_of(verb(name))
    lines += ["", "## Exit codes", "", "| code | |", "|---|---|"]
    lines += [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES]
    lines += ["", "`exec` and `shell` exit with the command's own code.", ""]
    return "\n".join(lines)


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.splitlines())


def _roff_list(arguments: Sequence[tuple[str, str]]) -> Iterator[str]:
    for form, meaning in arguments:
        yield from (".TP", f"\\fB{_roff(form)}\\fR", _roff(meaning) or "\\&")


def _roff_exit_codes() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    yield from _roff_list([(str(code), meaning) for code, meaning in EXIT_CODES])


def verb_page(name: str) -> str:
    """The page of one verb, ``netlab-VERB(1)``."""
    entry = verb(name)
    lines = [f'.TH "NETLAB\\-{name.upper()}" 1 "" netlab "netlab"', ".SH NAME"]
    lines += [_roff(f"netlab-{name} - {entry.about}"), ".SH SYNOPSIS", f"\\fB{_roff(entry.usage)}\\fR"]
    if entry.epilogue:
        lines += [".SH DESCRIPTION", ".nf", _roff(entry.epilogue), ".fi"]
    if entry.positionals:
        lines += [".SH ARGUMENTS", *_roff_list([(a.form, a.help) for a in entry.positionals])]
    lines += [".SH OPTIONS", *_roff_list([(a.form, a.help) for a in entry.options])]
    if entry.examples:
        lines += [".SH EXAMPLES", *_roff_list(entry.examples)]
    lines += [*_roff_exit_codes(), ".SH SEE ALSO", "\\fBnetlab\\fR(1)", ""]
    return "\n".join(lines)


def main_page() -> str:
    """The page ``netlab(1)``."""
    lines = ['.TH NETLAB 1 "" netlab "netlab"', ".SH NAME"]
    lines += [_roff("netlab - a Docker host's network, built from a Compose file in network namespaces")]
    lines += [".SH SYNOPSIS", "\\fBnetlab\\fR \\fIVERB\\fR [OPTION…]", ".SH VERBS"]
    lines += _roff_list([(f"netlab-{name}(1)", about) for name, about in VERBS.items()])
    lines += [".SH FILES", *_roff_list(FILES), *_roff_exit_codes(), ".SH SEE ALSO"]
    lines += ["\\fBip\\-netns\\fR(8), \\fBiptables\\fR(8), \\fBnft\\fR(8)", ""]
    return "\n".join(lines)


PAGES: dict[str, Callable[[], str]] = {
    "verbs.md": markdown,
    "man/netlab.1": main_page,
    **{f"man/netlab-{name}.1": partial(verb_page, name) for name in VERBS},
}
"""Every file of the manual: its path below ``docs``, and what makes it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the manual below a folder, and remove pages of former verbs."""
    (folder,) = sys.argv[1:] if arguments is None else arguments
    made = {name: make() for name, make in PAGES.items()}
    for old in Path(folder, "man").glob("netlab*.1"):
        if f"man/{old.name}" not in made:
            old.unlink()
    for name, text in made.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
