"""From scenario files and options to a plan, and to what a supervisor needs to know."""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from netlab.model.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Unpack

    from netlab.model.plan import Plan
    from netlab.model.scenario import JsonValue, Scenario


class LabOptions(TypedDict, total=False):
    """What may be said of a scenario beside its files: the keywords of :func:`load_scenario`."""

    engine: str | None
    firewall: str | None
    daemon: Mapping[str, JsonValue] | Sequence[str]
    name: str | None
    project_name: str | None
    profiles: Sequence[str]
    env_files: Sequence[str | Path]
    project_directory: str | Path | None
    scale: Mapping[str, int] | Sequence[str]
    environ: Mapping[str, str] | None
    allow_outside_files: bool
    found_in: str | Path | None
    lenient: bool


def load_plan(files: Sequence[str | Path], **choices: Unpack[LabOptions]) -> Plan:
    """The plan of one scenario; arguments and errors are those of :func:`load_scenario`.

    The scenario's warnings are Python's, of the category ScenarioWarning.
    """
    from netlab.plan import make

    scenario = load_scenario(files, **choices)
    show_warnings(scenario, stacklevel=3)
    return make(scenario)


def show_warnings(scenario: Scenario, stacklevel: int) -> None:
    """The scenario's warnings as Python's; ``stacklevel`` as warnings.warn counts it, from here."""
    import warnings

    from netlab.model.errors import ScenarioWarning

    for problem in scenario.warnings:
        warnings.warn(str(problem), ScenarioWarning, stacklevel=stacklevel)


def load_scenario(
    files: Sequence[str | Path],
    *,
    engine: str | None = None,
    firewall: str | None = None,
    daemon: Mapping[str, JsonValue] | Sequence[str] = (),
    name: str | None = None,
    project_name: str | None = None,
    profiles: Sequence[str] = (),
    env_files: Sequence[str | Path] = (),
    project_directory: str | Path | None = None,
    scale: Mapping[str, int] | Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    allow_outside_files: bool = False,
    found_in: str | Path | None = None,
    lenient: bool = False,
) -> Scenario:
    """One scenario. ``daemon``: settings of daemon.json, or ``KEY=VALUE`` lines; ``scale``: the number of
    containers of a service, or ``SERVICE=N`` lines.

    ``environ`` is what Compose interpolates; default: this process's. Raises ScenarioError, UsageError.
    """
    from netlab.model.errors import UsageError
    from netlab.scenario import Overrides, daemon_setting, load, scale_setting

    try:
        settings = dict(daemon if isinstance(daemon, Mapping) else map(daemon_setting, daemon))
    except ValueError as error:
        raise UsageError(f"--daemon: {error}") from error
    try:
        numbers = dict(scale if isinstance(scale, Mapping) else map(scale_setting, scale))
    except ValueError as error:
        raise UsageError(f"--scale: {error}") from error
    overrides = Overrides(engine=engine, firewall=firewall, daemon=settings, name=name, scale=numbers)
    return load(
        files,
        environ=os.environ if environ is None else environ,
        project_name=project_name,
        profiles=profiles,
        env_files=env_files,
        project_directory=project_directory,
        overrides=overrides,
        allow_outside_files=allow_outside_files,
        found_in=found_in,
        lenient=lenient,
    )


def of_arguments(error: UsageError) -> UsageError:
    """The same of somebody who called :func:`load_scenario` and has no options: it names the arguments."""
    from netlab.model.errors import Argument, Problem, ScenarioError, UsageError

    if not isinstance(error, ScenarioError):
        return UsageError(str(error).removeprefix("--"))
    return ScenarioError(
        [
            Problem(Argument(file.removeprefix("--").replace("-", "_"), 1, 1), problem.message)
            if (file := problem.position.file).startswith("--")
            else problem
            for problem in error.problems
        ]
    )


def record_of(
    plan: Plan, text: str, files: Sequence[str | Path], *, owner: int | None = None
) -> dict[str, Any]:
    """What ``lab.json`` says of a lab; the supervisor adds to it. ``owner``: the PID that it ends with."""
    import time

    from netlab import __version__
    from netlab.lab import codec

    return {
        "version": __version__,
        "uid": os.geteuid(),
        "digest": codec.digest(text),
        "files": [os.path.abspath(file) for file in files],
        "created": int(time.time()),
        "owner": owner,
        **counts_of(plan),
    }


def counts_of(plan: Plan) -> dict[str, Any]:
    """What ``netlab ls`` shows of a plan."""
    kinds = [node.kind for node in plan.nodes]
    return {
        "engines": sorted({node.engine for node in plan.nodes if node.engine}),
        "hosts": kinds.count("host"),
        "containers": kinds.count("container"),
        "outside": kinds.count("outside"),
        "published": len(plan.publications),
    }


def refuse_programs(plan: Plan) -> None:
    """A stranger's scenario starts no program of this machine with our rights; raises UsageError."""
    from netlab.model.errors import UsageError

    for node in plan.nodes:
        if node.proxy.startswith("/"):
            raise UsageError(
                f"the scenario wants {node.proxy} to be run as the proxy of {node.name}: "
                "allow that with --allow-programs"
            )


def check_kinds(arguments: Mapping[str, object]) -> None:
    """Raise UsageError for the first argument that is not of its kind; others are not looked at."""
    for name, value in arguments.items():
        if name in _KINDS:
            is_right, expected = _KINDS[name]
            if not is_right(value):
                raise UsageError(f"{name}: {reprlib.repr(value)} is not {expected}")


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _all_text(value: object) -> bool:
    return _is_list(value, lambda one: isinstance(one, str))


def _is_list(value: object, is_right: Callable[[object], bool]) -> bool:
    """A string is a collection too, of strings: never what was meant."""
    if not isinstance(value, Collection) or isinstance(value, (str, bytes, Mapping)):
        return False
    return all(map(is_right, value))


def _is_mapping(value: object, is_right: Callable[[object], bool]) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and is_right(one) for key, one in value.items()
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_TEXT = (_is_text, "a string")


_FLAG = (_is_flag, "True or False")


_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "engine": _TEXT,
    "firewall": _TEXT,
    "name": _TEXT,
    "project_name": _TEXT,
    "project_directory": (lambda value: value is None or _is_path(value), "a path"),
    "profiles": (_all_text, "a list of strings"),
    "env_files": (lambda value: _is_list(value, _is_path), "a list of paths"),
    "daemon": (
        lambda value: _is_mapping(value, lambda _: True) or _all_text(value),
        'a mapping, or a list of "KEY=VALUE"',
    ),
    "scale": (
        lambda value: _is_mapping(value, _is_number) or _all_text(value),
        'a mapping of services to numbers, or a list of "SERVICE=NUMBER"',
    ),
    "environ": (
        lambda value: value is None or _is_mapping(value, lambda one: isinstance(one, str)),
        "a mapping of strings to strings",
    ),
    "allow_outside_files": _FLAG,
    "lenient": _FLAG,
    "allow_programs": _FLAG,
}
