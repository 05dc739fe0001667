"""The options of a lab, each declared once.

The constructor of :class:`netlab.Lab`, the scenario options of the command line and the ``netlab`` marker of
pytest all derive from :class:`LabOptions`. To add an option, add one entry there.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypedDict, get_type_hints

from netlab.model.errors import OptionError
from netlab.model.near import nearest

if TYPE_CHECKING:
    from typing import Literal

    from netlab.model.plan import Plan

#: A file or folder as the user writes it.
Path = str | os.PathLike[str]
#: Stands between the files of two Compose projects on the same hosts.
PLUS = "+"


class Kind(NamedTuple):
    """The values of an option: a check, the words for an error, and its form on the command line."""

    is_right: Callable[[object], bool]
    words: str
    form: Literal["value", "list", "flag"] = "value"


class LabOption(NamedTuple):
    """An option: what it does, what it is called on the command line, and what reads it."""

    kind: Kind
    help: str
    #: What reads it: the loader of scenarios, its overrides for every host, the choice of what engines leave
    #: to chance, or the lab itself.
    reader: Literal["load", "overrides", "choice", "lab"] = "load"
    #: The flags on the command line, the long one first; empty if only Python has the option.
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    #: What completes a value: ``file``, ``engine``, ``firewall`` or ``profile``.
    completes: str = ""
    #: Verbs that compare accept it several times, and the marker accepts a list: one lab for each value.
    axis: bool = False
    #: Whether the marker accepts it. The plugin names its labs itself.
    marker: bool = True


def _is_path(value: object) -> bool:
    return isinstance(value, (str, os.PathLike))


def _is_list(value: object, is_right: Callable[[object], bool]) -> bool:
    """Reject a string, which is a collection of strings, too, but never meant as one."""
    if not isinstance(value, Collection) or isinstance(value, (str, bytes, Mapping)):
        return False
    return all(map(is_right, value))


def _all_text(value: object) -> bool:
    return _is_list(value, lambda one: isinstance(one, str))


def _is_mapping(value: object, is_right: Callable[[object], bool]) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(key, str) and is_right(one) for key, one in value.items()
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TEXT = Kind(lambda value: value is None or isinstance(value, str), "a string")
CHOICE = Kind(
    lambda value: value is None or isinstance(value, str) or _is_number(value), 'a number or "seed:WORD"'
)
PATH = Kind(lambda value: value is None or _is_path(value), "a path")
FLAG = Kind(lambda value: isinstance(value, bool), "True or False", "flag")
TEXTS = Kind(_all_text, "a list of strings", "list")
PATHS = Kind(lambda value: _is_list(value, _is_path), "a list of paths", "list")
SETTINGS = Kind(
    lambda value: _is_mapping(value, lambda _: True) or _all_text(value),
    'a mapping, or a list of "KEY=VALUE"',
    "list",
)
NUMBERS = Kind(
    lambda value: _is_mapping(value, _is_number) or _all_text(value),
    'a mapping of services to numbers, or a list of "SERVICE=NUMBER"',
    "list",
)
VARIABLES = Kind(
    lambda value: value is None or _is_mapping(value, lambda one: isinstance(one, str)),
    "a mapping of strings to strings",
)


class ScenarioOptions(TypedDict, total=False):
    """The options that change what a scenario's files mean."""

    engine: Annotated[
        str | None,
        LabOption(
            TEXT, "container engine, such as docker-20.10", "overrides", ("--engine",), "NAME",
            completes="engine", axis=True,
        ),
    ]  # fmt: skip
    firewall: Annotated[
        str | None,
        LabOption(
            TEXT, "the host's firewall", "overrides", ("--firewall",), "KIND",
            completes="firewall", axis=True,
        ),
    ]  # fmt: skip
    daemon: Annotated[
        Mapping[str, Any] | Sequence[str],
        LabOption(
            SETTINGS, "daemon.json setting, such as userland-proxy=false", "overrides", ("--daemon",),
            "KEY=VALUE", axis=True,
        ),
    ]  # fmt: skip
    choice: Annotated[
        str | int | None,
        LabOption(
            CHOICE, "which way what the engine leaves to chance comes out: its number, or seed:WORD",
            "choice", ("--choice",), "N", axis=True,
        ),
    ]  # fmt: skip
    name: Annotated[
        str | None,
        LabOption(TEXT, "the lab's name; default: the file's", "overrides", ("--name",), "LAB", marker=False),
    ]
    project_name: Annotated[
        str | None, LabOption(TEXT, "Compose's project name", "load", ("--project-name", "-p"), "NAME")
    ]
    profiles: Annotated[
        Sequence[str],
        LabOption(TEXTS, "a Compose profile", "load", ("--profile",), "NAME", completes="profile"),
    ]
    env_files: Annotated[
        Sequence[Path],
        LabOption(
            PATHS, "variables for the files, instead of .env", "load", ("--env-file",), "FILE",
            completes="file",
        ),
    ]  # fmt: skip
    project_directory: Annotated[
        Path | None,
        LabOption(
            PATH, "Compose's project directory; default: the file's", "load", ("--project-directory",),
            "DIR", completes="file",
        ),
    ]  # fmt: skip
    scale: Annotated[
        Mapping[str, int] | Sequence[str],
        LabOption(
            NUMBERS, "run N containers of a service", "overrides", ("--scale",), "SERVICE=N",
        ),
    ]  # fmt: skip
    environ: Annotated[
        Mapping[str, str] | None,
        LabOption(
            VARIABLES, "the environment that Compose interpolates; default: this process's"
        ),
    ]  # fmt: skip
    allow_outside_files: Annotated[
        bool,
        LabOption(FLAG, "let the scenario name files outside its folder", "load", ("--allow-outside-files",)),
    ]
    lenient: Annotated[
        bool,
        LabOption(
            FLAG, "leave out networks and containers that netlab cannot reproduce, with a warning", "load",
            ("--lenient",),
        ),
    ]  # fmt: skip


class LabOptions(ScenarioOptions, total=False):
    """The keywords of :class:`netlab.Lab`: the options of its scenario and of the lab itself."""

    allow_programs: Annotated[
        bool,
        LabOption(
            FLAG, "let the scenario name a program on this machine as the host's proxy", "lab",
            ("--allow-programs",),
        ),
    ]  # fmt: skip


def declared(options: type) -> dict[str, LabOption]:
    """The options that a class such as :class:`LabOptions` declares, by their names in Python."""
    hints = get_type_hints(options, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


#: Every option by its name in Python, in the order of the command line's help.
OPTIONS: dict[str, LabOption] = declared(LabOptions)


def check(options: Mapping[str, object]) -> None:
    """Raise TypeError for an unknown option, OptionError for a value of the wrong type."""
    for name, value in options.items():
        if name not in OPTIONS:
            raise TypeError(f"{name}= is not an option of a lab{_near(name)}: {', '.join(OPTIONS)}")
        kind = OPTIONS[name].kind
        if not kind.is_right(value):
            raise OptionError(f"{reprlib.repr(value)} is not {kind.words}", name)


def _near(name: str) -> str:
    near = nearest(name, OPTIONS)
    return f" (did you mean {near}=?)" if near else ""


def of_scenario(options: Mapping[str, Any]) -> ScenarioOptions:
    """The options of a lab that change its scenario."""
    found = {name: value for name, value in options.items() if OPTIONS[name].reader != "lab"}
    return found  # type: ignore[return-value]  # the keys were checked


def refuse_programs(plan: Plan) -> None:
    """Raise OptionError if a scenario names a program on this machine, which would run with your rights."""
    for node in plan.nodes:
        if node.proxy.startswith("/"):
            raise OptionError(
                f"needed to run {node.proxy}, which the scenario names as the proxy of {node.name}",
                "allow_programs",
            )
