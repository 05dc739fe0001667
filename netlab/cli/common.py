"""What several verbs share: scenario options, and plans from them."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from netlab.cli.stream import in_colour
from netlab.view.plain import visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable
    from typing import IO

    from netlab.lab.options import Option
    from netlab.model.errors import Problem
    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario

#: Version of every JSON document that the verbs of this room print.
SCHEMA_VERSION = 1


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
    from netlab.cli.complete import hint

    files = "scenario files, one lab for each" if several else "the scenario file"
    where = "; default: netlab.yaml or the Compose file of this folder"
    hint(parser.add_argument("files", nargs="*", metavar="FILE", help=files + where), "file")
    hint(
        parser.add_argument(
            "-f", "--file", action="append", default=[], metavar="FILE", dest="merged",
            help="file of one scenario; repeat it to merge several by Compose's rules",
        ),
        "file",
    )  # fmt: skip
    from netlab.lab.options import OPTIONS  # start-up: `netlab ls` has none of them

    for name, option in OPTIONS.items():
        if option.flags and (programs or option.reader != "lab"):
            _add_option(parser, name, option, often=variants and option.axis)


def _add_option(parser: argparse.ArgumentParser, name: str, option: Option, *, often: bool) -> None:
    """Add one of a lab's options; ``often``: it may be repeated, even if a lab takes one value."""
    from netlab.cli.complete import hint

    more: dict[str, Any] = {"metavar": option.metavar, "help": option.help}
    if option.kind.form == "flag":
        more = {"action": "store_true", "help": option.help}
    elif often or option.kind.form == "list":
        more |= {"action": "append", "default": [], "help": f"{option.help}; may be repeated"}
    action = parser.add_argument(*option.flags, dest=name, **more)
    if option.completes:
        hint(action, option.completes)


class Files(list[str]):
    """The files of one scenario; ``environ``: the variables of the folder in which they were searched.

    ``found_in``: the folder that must contain them, if the user did not name them.
    """

    environ: dict[str, str] | None = None
    found_in: str | None = None

    def __init__(self, files: Iterable[str] = ()) -> None:
        super().__init__(files)
        self._warned: set[Problem] = set()

    def warn(self, scenario: Scenario) -> None:
        """Show the scenario's warnings on stderr, each once however often the files are loaded."""
        for problem in scenario.warnings:
            if problem not in self._warned:
                self._warned.add(problem)
                say(f"{problem.position}: warning: {problem.message}")


def scenario_groups(args: argparse.Namespace) -> list[Files]:
    """The files of each requested scenario; raises UsageError if there is none."""
    from netlab.model.errors import UsageError

    groups = [
        _in_folder(args, file, above=False) if os.path.isdir(file) else Files([file]) for file in args.files
    ]
    if args.merged:
        groups.append(Files(args.merged))
    if not groups:
        groups.append(_in_folder(args, args.project_directory or ".", above=True))
    if len(groups) > 1 and args.name:
        raise UsageError("--name names one lab, and there are several scenarios")
    return groups


def _in_folder(args: argparse.Namespace, folder: str, *, above: bool) -> Files:
    """The scenario files of a folder or, as with Compose, of the nearest folder ``above`` it."""
    from netlab.model.errors import UsageError
    from netlab.scenario import find_default, folder_environment, named_by_variable

    try:
        environ = folder_environment(
            folder, os.environ, args.env_files, allow_outside_files=args.allow_outside_files
        )
    except UsageError as error:
        raise error.spelled(as_typed) from error
    paths = find_default(folder, environ, above=above)
    found = Files(map(os.path.relpath, paths))
    if not found:
        where = "neither this folder nor one above it has a" if above else f"{folder} has no"
        what = "netlab.yaml or a Compose file" if above else "netlab.yaml and no Compose file"
        raise UsageError(f"no scenario was given, and {where} {what}")
    found.environ = environ
    if not named_by_variable(folder, environ):
        found.found_in = str(paths[0].parent)
    elif not os.environ.get("COMPOSE_FILE"):  # in .env, which the user may never have seen
        found.found_in = folder
    return found


def load_group(args: argparse.Namespace, files: Files) -> Plan:
    """The plan of one scenario with the options of the command line; raises ScenarioError or UsageError."""
    from netlab.plan import make

    return make(read_group(args, files))


def read_group(args: argparse.Namespace, files: Files) -> Scenario:
    """One scenario with the options of the command line; raises ScenarioError or UsageError."""
    from netlab.lab.options import load_scenario
    from netlab.model.errors import UsageError

    try:
        scenario = load_scenario(files, environ=files.environ, found_in=files.found_in, **options_of(args))
    except UsageError as error:
        raise error.spelled(as_typed) from error
    files.warn(scenario)
    return scenario


def as_typed(name: str) -> str:
    """An option's name as the command line spells it: ``--project-name``."""
    from netlab.lab.options import OPTIONS

    return OPTIONS[name].flags[0] if name in OPTIONS and OPTIONS[name].flags else name


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The scenario options as keywords of :func:`netlab.lab.options.load_scenario`."""
    from netlab.lab.options import OPTIONS

    return {
        name: getattr(args, name)
        for name, option in OPTIONS.items()
        if option.flags and option.reader != "lab"
    }


def load_plan(args: argparse.Namespace) -> Plan:
    """The one requested plan; raises UsageError for several."""
    from netlab.model.errors import UsageError

    groups = scenario_groups(args)
    if len(groups) > 1:
        raise UsageError("one scenario at a time, please (-f merges several files into one)")
    return load_group(args, groups[0])


def open_output(path: str, *, buffered: bool = True) -> IO[bytes]:
    """Open the file of an option for writing; raises UsageError if that is impossible."""
    from netlab.model.errors import UsageError, exhausted

    try:
        return open(path, "wb", buffering=-1 if buffered else 0)
    except OSError as error:
        raise exhausted(error) or UsageError(f"cannot write {path}: {error.strerror}") from error


def write_anew(path: str, data: bytes, *, replace: bool) -> None:
    """Write a file that is not there yet, or with ``replace`` in its place; a link is never followed.

    Raises UsageError if that is impossible.
    """
    from netlab.model.errors import UsageError, exhausted

    name = f"{path}.new" if replace else path
    try:
        if replace and os.path.lexists(name):
            os.unlink(name)
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with open(descriptor, "wb") as file:
            file.write(data)
        if replace:
            os.replace(name, path)
    except OSError as error:
        raise exhausted(error) or UsageError(f"cannot write {path}: {error.strerror}") from error


class UntilInterrupted:
    """A block that runs until Ctrl-C, which calls ``stop``; then the block ends itself, with complete
    results.

    A second Ctrl-C aborts it. For the main thread.
    """

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        self._stop = stop
        self.interrupted = False

    def __enter__(self) -> UntilInterrupted:
        import signal

        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        import signal

        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, *_: object) -> None:
        import signal

        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.interrupted = True
        self._stop()


def say(text: str) -> None:
    """A word to the user, on stderr."""
    sys.stderr.write(visible(f"{text}\n"))
    sys.stderr.flush()


def print_text(text: str = "", *, styles: bool = False) -> None:
    """Print lines on stdout, with control characters from scenarios, packets and programs escaped.

    ``styles``: the text has netlab's own colour or emphasis.
    """
    sys.stdout.write(visible(f"{text}\n", styles=styles))


def print_json(document: dict[str, Any]) -> None:
    """A JSON document on stdout, with its schema version in front."""
    import json

    print_text(json.dumps({"schema_version": SCHEMA_VERSION, **document}, indent=2, ensure_ascii=False))


def width() -> int | None:
    """The columns of the terminal that stdout is; None elsewhere, where no line is ever wrapped."""
    from netlab.cli.verbs import columns

    return columns() if sys.stdout.isatty() else None


def colours(stream: Any) -> bool:
    """Whether to write in colour: a terminal, and nobody said NO_COLOR (no-color.org)."""
    return in_colour(stream)
