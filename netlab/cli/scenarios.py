"""From the files and options of the command line to scenarios and plans."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import Any

from netlab.cli.output import say
from netlab.lab import state
from netlab.lab.client.client import Client, find_lab
from netlab.lab.load import load_scenario
from netlab.lab.options import OPTIONS
from netlab.model.errors import UsageError
from netlab.model.plan import Plan
from netlab.model.problem import Problem
from netlab.model.scenario import Scenario
from netlab.plan import make
from netlab.scenario import find_default, folder_environment, named_by_variable


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
    return make(read_group(args, files))


def read_group(args: argparse.Namespace, files: Files) -> Scenario:
    """One scenario with the options of the command line; raises ScenarioError or UsageError."""
    try:
        scenario = load_scenario(files, environ=files.environ, found_in=files.found_in, **options_of(args))
    except UsageError as error:
        raise error.spelled(as_typed) from error
    files.warn(scenario)
    return scenario


def as_typed(name: str) -> str:
    """An option's name as the command line spells it: ``--project-name``."""
    return OPTIONS[name].flags[0] if name in OPTIONS and OPTIONS[name].flags else name


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The scenario options as keywords of :func:`netlab.lab.options.load_scenario`."""
    return {
        name: getattr(args, name)
        for name, option in OPTIONS.items()
        if option.flags and option.reader != "lab"
    }


def one_scenario(args: argparse.Namespace) -> Scenario:
    """The one requested scenario; raises UsageError for several."""
    groups = scenario_groups(args)
    if len(groups) > 1:
        raise UsageError("one scenario at a time, please (-f merges several files into one)")
    return read_group(args, groups[0])


def running_lab(args: argparse.Namespace) -> Client | None:
    """The lab that was named in the place of a file, if it is up; raises UsageError for other options."""
    if len(args.files) != 1 or args.merged or os.path.exists(args.files[0]):
        return None
    name = args.files[0]
    if name not in (record.name for record in state.standing()):
        return None
    given = [option.flags[0] for key, option in OPTIONS.items() if option.flags and getattr(args, key, None)]
    if given:
        raise UsageError(f"{name} is a running lab: with {given[0]}, name its file")
    return find_lab(name)
