"""From files and options to a scenario, and to its plan."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from netlab.first_use import at_first_use
from netlab.lab.options import OPTIONS, PLUS, Path, ScenarioOptions, check
from netlab.model.errors import OptionError, ScenarioWarning
from netlab.model.plan import Plan
from netlab.model.problem import ScenarioError
from netlab.model.scenario import Scenario
from netlab.scenario import Overrides, Sources, daemon_setting, load, scale_setting

#: imported when it is needed: `up` and `ls` need it not
_late: Any = at_first_use(__name__, {"planned": "netlab.lab.stages", "chosen": "netlab.plan.choices"})
#: What the value of an option becomes before it is read; raises ValueError.
_CONVERT: dict[str, Callable[[Any], object]] = {
    "daemon": lambda value: _pairs(value, daemon_setting),
    "scale": lambda value: _pairs(value, scale_setting),
    "environ": lambda value: os.environ if value is None else value,
}


def _pairs(
    value: Mapping[str, Any] | Sequence[str], read: Callable[[str], tuple[str, Any]]
) -> dict[str, Any]:
    return dict(value if isinstance(value, Mapping) else map(read, value))


def load_plan(files: Sequence[Path], **options: Unpack[ScenarioOptions]) -> Plan:
    """Plan one scenario without building it; needs no root.

    >>> plan = netlab.load_plan(["scenarios/httpd.yaml"], engine="docker-28")
    >>> plan.name, plan.node("httpd").interfaces[0].addresses
    ('httpd', ('192.168.10.10/24',))

    Several ``files`` are merged by Compose's rules; ``"+"`` stands between those of two Compose projects on
    the same hosts. ``options`` are those of :class:`netlab.Lab`, without ``allow_programs``. Warnings are
    Python warnings of the category ScenarioWarning. Raises ScenarioError with all problems, OptionError,
    TypeError for an unknown option, and UsageError without files.
    """
    scenario = load_scenario(files, **options)
    show_warnings(scenario, stacklevel=3)
    planned: Callable[[Scenario], Plan] = _late("planned")
    return planned(scenario)


def show_warnings(scenario: Scenario, stacklevel: int) -> None:
    """The scenario's warnings as Python's; ``stacklevel`` as warnings.warn counts it, from here."""
    for problem in scenario.warnings:
        warnings.warn(str(problem), ScenarioWarning, stacklevel=stacklevel)


def sources_of(files: Sequence[Path]) -> list[Sources]:
    """Files with :data:`~netlab.lab.options.PLUS` between those of different Compose projects."""
    found: list[list[str]] = [[]]
    for file in files:
        if os.fspath(file) == PLUS:
            found.append([])
        else:
            found[-1].append(os.fspath(file))
    return [Sources(group) for group in found]


def load_scenario(
    files: Sequence[Path], *, sources: Sequence[Sources] = (), **options: Unpack[ScenarioOptions]
) -> Scenario:
    """One scenario from ``files``, merged by Compose's rules, with :class:`ScenarioOptions`.

    ``sources``: the same by project, if it is known where the files were found. Raises ScenarioError with
    every problem, OptionError, UsageError.
    """
    check(options)
    given = {"environ": None, **options}
    read: dict[str, dict[str, Any]] = {"load": {}, "overrides": {}, "choice": {}, "lab": {}}
    for name, value in given.items():
        option = OPTIONS[name]
        try:
            read[option.reader][name] = _CONVERT[name](value) if name in _CONVERT else value
        except ValueError as error:
            raise OptionError(str(error), name) from error
    if read["lab"]:
        raise TypeError(f"{', '.join(read['lab'])}: an option of a lab, not of a scenario")
    first, *more = sources or sources_of(files)
    if first.environ is not None:
        read["load"]["environ"] = first.environ
    scenario = load(
        first.files,
        found_in=first.found_in,
        more=more,
        overrides=Overrides(**read["overrides"]),
        **read["load"],
    )
    choice = read["choice"].get("choice")
    return scenario if choice is None else _chosen(scenario, str(choice))


def _chosen(scenario: Scenario, choice: str) -> Scenario:
    """The scenario with one of the ways in which what its engines leave to chance can come out."""
    pick: Callable[[Scenario, str], Scenario] = _late("chosen")
    try:
        return pick(scenario, choice)
    except ScenarioError:
        raise
    except ValueError as error:
        raise OptionError(str(error), "choice") from error
