"""From the files and options of the command line to scenarios and plans."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from functools import partial
from typing import Any

from netlab.cli.arguments.scenario import add_scenario_options
from netlab.cli.output import say
from netlab.lab import state
from netlab.lab.client.client import Client, find_lab
from netlab.lab.load import load_scenario
from netlab.lab.options import OPTIONS, PLUS
from netlab.model.errors import UsageError
from netlab.model.plan import Plan
from netlab.model.problem import Problem
from netlab.model.scenario import Scenario
from netlab.plan import make
from netlab.scenario import Sources, find_default, folder_environment, named_by_variable


class Files(list[str]):
    """The files of one scenario as the command line names them, with ``+`` between those of two projects.

    ``sources``: the same by project, each with the folder in which its files were searched.
    """

    def __init__(self, projects: Iterable[Sources] = ()) -> None:
        self.sources = tuple(projects)
        super().__init__()
        for project in self.sources:
            self += [*([PLUS] if self else []), *map(str, project.files)]
        self._warned: set[Problem] = set()

    def warn(self, scenario: Scenario) -> None:
        """Show the scenario's warnings on stderr, each once however often the files are loaded."""
        for problem in scenario.warnings:
            if problem not in self._warned:
                self._warned.add(problem)
                say(f"{problem.position}: warning: {problem.message}")


def scenario_groups(args: argparse.Namespace) -> list[Files]:
    """The files of each requested scenario; raises UsageError if there is none."""
    groups = [Files(map(partial(_source, args), group)) for group in _joined(args.files, bool(args.merged))]
    if args.merged:
        beside = groups.pop().sources if args.files[:1] == [PLUS] else ()
        groups.append(Files([Sources(args.merged), *beside]))
    if not groups:
        groups.append(Files([_in_folder(args, args.project_directory or ".", above=True)]))
    if len(groups) > 1 and args.name:
        raise UsageError("--name names one lab, and there are several scenarios")
    return groups


def _joined(words: list[str], after_merged: bool) -> list[list[str]]:
    """The positional files by scenario: ``a.yaml + b.yaml c.yaml`` are two.

    A ``+`` in front joins the files of ``-f`` with what follows.
    """
    if words[:1] == [PLUS] and after_merged:
        first, *others = _joined(words[1:], False) or [[]]
        if not first or others:
            raise UsageError("with -f, write the files of other projects last: -f a.yaml -f b.yaml + c.yaml")
        return [first]
    groups: list[list[str]] = []
    joining = False
    for word in words:
        if word == PLUS:
            if joining or not groups:
                raise UsageError(f"{PLUS} stands between two files: a.yaml {PLUS} b.yaml")
            joining = True
        elif joining:
            groups[-1].append(word)
            joining = False
        else:
            groups.append([word])
    if joining:
        raise UsageError(f"{PLUS} stands between two files: a.yaml {PLUS} b.yaml")
    return groups


def _source(args: argparse.Namespace, file: str) -> Sources:
    return _in_folder(args, file, above=False) if os.path.isdir(file) else Sources([file])


def _in_folder(args: argparse.Namespace, folder: str, *, above: bool) -> Sources:
    """The scenario files of a folder or, as with Compose, of the nearest folder ``above`` it."""
    try:
        environ = folder_environment(
            folder, os.environ, args.env_files, allow_outside_files=args.allow_outside_files
        )
    except UsageError as error:
        raise error.spelled(as_typed) from error
    paths = find_default(folder, environ, above=above)
    if not paths:
        where = "neither this folder nor one above it has a" if above else f"{folder} has no"
        what = "netlab.yaml or a Compose file" if above else "netlab.yaml and no Compose file"
        raise UsageError(f"no scenario was given, and {where} {what}")
    found_in = None
    if not named_by_variable(folder, environ):
        found_in = str(paths[0].parent)
    elif not os.environ.get("COMPOSE_FILE"):  # in .env, which the user may never have seen
        found_in = folder
    return Sources([os.path.relpath(path) for path in paths], environ, found_in)


def load_group(args: argparse.Namespace, files: Files) -> Plan:
    """The plan of one scenario with the options of the command line; raises ScenarioError or UsageError."""
    return make(read_group(args, files))


def plan_of(word: str) -> Plan:
    """The plan of the scenario in a file or folder, without further options; raises as :func:`load_group`."""
    parser = argparse.ArgumentParser()
    add_scenario_options(parser)
    args = parser.parse_args(["--", word])
    return load_group(args, only_group(args))


def read_group(args: argparse.Namespace, files: Files) -> Scenario:
    """One scenario with the options of the command line; raises ScenarioError or UsageError."""
    try:
        scenario = load_scenario(files, sources=files.sources, **options_of(args))
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
    return read_group(args, only_group(args))


def only_group(args: argparse.Namespace) -> Files:
    """The one requested scenario; raises UsageError for several."""
    group, *others = scenario_groups(args)
    if others:
        how = "-f merges several files into one, + puts the projects of several on one host"
        raise UsageError(f"one scenario at a time, please ({how})")
    return group


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
