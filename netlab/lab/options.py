"""The options of a lab, each declared once; turn files and options into a plan and a lab's record.

The constructor of :class:`netlab.Lab`, the scenario options of the command line and the ``netlab`` marker of
pytest all derive from :class:`LabOptions`. To add an option, add one entry there.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypedDict, get_type_hints

from netlab.model.errors import OptionError

if TYPE_CHECKING:
    from typing import Literal, Unpack

    from netlab.model.plan import Plan
    from netlab.model.scenario import Scenario

#: A file or folder as the user writes it.
Path = str | os.PathLike[str]


class Kind(NamedTuple):
    """The values of an option: a check, the words for an error, and its form on the command line."""

    is_right: Callable[[object], bool]
    words: str
    form: Literal["value", "list", "flag"] = "value"


class Option(NamedTuple):
    """An option: what it does, what it is called on the command line, and what reads it."""

    kind: Kind
    help: str
    #: What reads it: the loader of scenarios, its overrides for every host, or the lab itself.
    reader: Literal["load", "overrides", "lab"] = "load"
    #: The flags on the command line, the long one first; empty if only Python has the option.
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    #: What completes a value: ``file``, ``engine``, ``firewall`` or ``profile``.
    completes: str = ""
    #: Verbs that compare accept it several times, and the marker accepts a list: one lab for each value.
    axis: bool = False
    #: Whether the marker accepts it. The plugin names its labs itself.
    marker: bool = True
    #: What a value becomes before it is read; raises ValueError.
    convert: Callable[[Any], object] | None = None


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


def _settings(value: Mapping[str, Any] | Sequence[str]) -> Mapping[str, Any]:
    from netlab.scenario import daemon_setting

    return dict(value if isinstance(value, Mapping) else map(daemon_setting, value))


def _numbers(value: Mapping[str, int] | Sequence[str]) -> Mapping[str, int]:
    from netlab.scenario import scale_setting

    return dict(value if isinstance(value, Mapping) else map(scale_setting, value))


class ScenarioOptions(TypedDict, total=False):
    """The options that change what a scenario's files mean."""

    engine: Annotated[
        str | None,
        Option(
            TEXT, "container engine, such as docker-20.10", "overrides", ("--engine",), "NAME",
            completes="engine", axis=True,
        ),
    ]  # fmt: skip
    firewall: Annotated[
        str | None,
        Option(
            TEXT, "the host's firewall", "overrides", ("--firewall",), "KIND",
            completes="firewall", axis=True,
        ),
    ]  # fmt: skip
    daemon: Annotated[
        Mapping[str, Any] | Sequence[str],
        Option(
            SETTINGS, "daemon.json setting, such as userland-proxy=false", "overrides", ("--daemon",),
            "KEY=VALUE", axis=True, convert=_settings,
        ),
    ]  # fmt: skip
    name: Annotated[
        str | None,
        Option(TEXT, "the lab's name; default: the file's", "overrides", ("--name",), "LAB", marker=False),
    ]
    project_name: Annotated[
        str | None, Option(TEXT, "Compose's project name", "load", ("--project-name", "-p"), "NAME")
    ]
    profiles: Annotated[
        Sequence[str], Option(TEXTS, "a Compose profile", "load", ("--profile",), "NAME", completes="profile")
    ]
    env_files: Annotated[
        Sequence[Path],
        Option(
            PATHS, "variables for the files, instead of .env", "load", ("--env-file",), "FILE",
            completes="file",
        ),
    ]  # fmt: skip
    project_directory: Annotated[
        Path | None,
        Option(
            PATH, "Compose's project directory; default: the file's", "load", ("--project-directory",),
            "DIR", completes="file",
        ),
    ]  # fmt: skip
    scale: Annotated[
        Mapping[str, int] | Sequence[str],
        Option(
            NUMBERS, "run N containers of a service", "overrides", ("--scale",), "SERVICE=N",
            convert=_numbers,
        ),
    ]  # fmt: skip
    environ: Annotated[
        Mapping[str, str] | None,
        Option(
            VARIABLES, "the environment that Compose interpolates; default: this process's",
            convert=lambda value: os.environ if value is None else value,
        ),
    ]  # fmt: skip
    allow_outside_files: Annotated[
        bool,
        Option(FLAG, "let the scenario name files outside its folder", "load", ("--allow-outside-files",)),
    ]
    lenient: Annotated[
        bool,
        Option(
            FLAG, "leave out networks and containers that netlab cannot reproduce, with a warning", "load",
            ("--lenient",),
        ),
    ]  # fmt: skip


class LabOptions(ScenarioOptions, total=False):
    """The keywords of :class:`netlab.Lab`: the options of its scenario and of the lab itself."""

    allow_programs: Annotated[
        bool,
        Option(
            FLAG, "let the scenario name a program on this machine as the host's proxy", "lab",
            ("--allow-programs",),
        ),
    ]  # fmt: skip


def declared(options: type) -> dict[str, Option]:
    """The options that a class such as :class:`LabOptions` declares, by their names in Python."""
    hints = get_type_hints(options, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}


#: Every option by its name in Python, in the order of the command line's help.
OPTIONS: dict[str, Option] = declared(LabOptions)


def check(options: Mapping[str, object]) -> None:
    """Raise TypeError for an unknown option, OptionError for a value of the wrong type."""
    for name, value in options.items():
        if name not in OPTIONS:
            raise TypeError(f"{name}= is not an option of a lab{_near(name)}: {', '.join(OPTIONS)}")
        kind = OPTIONS[name].kind
        if not kind.is_right(value):
            raise OptionError(f"{reprlib.repr(value)} is not {kind.words}", name)


def _near(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, OPTIONS, 1)
    return f" (did you mean {near[0]}=?)" if near else ""


def load_plan(files: Sequence[Path], **options: Unpack[ScenarioOptions]) -> Plan:
    """Plan one scenario without building it; needs no root.

    >>> plan = netlab.load_plan(["scenarios/httpd.yaml"], engine="docker-28")
    >>> plan.name, plan.node("httpd").interfaces[0].addresses
    ('httpd', ('192.168.10.10/24',))

    Several ``files`` are merged by Compose's rules; ``options`` are those of :class:`netlab.Lab`, without
    ``allow_programs``. Warnings are Python warnings of the category ScenarioWarning. Raises ScenarioError
    with all problems, OptionError, TypeError for an unknown option, and UsageError without files.
    """
    from netlab.plan import make

    scenario = load_scenario(files, **options)
    show_warnings(scenario, stacklevel=3)
    return make(scenario)


def show_warnings(scenario: Scenario, stacklevel: int) -> None:
    """The scenario's warnings as Python's; ``stacklevel`` as warnings.warn counts it, from here."""
    import warnings

    from netlab.model.errors import ScenarioWarning

    for problem in scenario.warnings:
        warnings.warn(str(problem), ScenarioWarning, stacklevel=stacklevel)


def load_scenario(
    files: Sequence[Path], *, found_in: Path | None = None, **options: Unpack[ScenarioOptions]
) -> Scenario:
    """One scenario from ``files``, merged by Compose's rules, with :class:`ScenarioOptions`.

    ``found_in``: the folder in which the files were found, if the user did not name them. Raises
    ScenarioError with every problem, OptionError, UsageError.
    """
    from netlab.scenario import Overrides, load  # start-up: the parser of a verb needs no YAML

    check(options)
    given = {"environ": None, **options}
    read: dict[str, dict[str, Any]] = {"load": {}, "overrides": {}, "lab": {}}
    for name, value in given.items():
        option = OPTIONS[name]
        try:
            read[option.reader][name] = option.convert(value) if option.convert else value
        except ValueError as error:
            raise OptionError(str(error), name) from error
    if read["lab"]:
        raise TypeError(f"{', '.join(read['lab'])}: an option of a lab, not of a scenario")
    return load(
        [os.fspath(file) for file in files],
        found_in=None if found_in is None else os.fspath(found_in),
        overrides=Overrides(**read["overrides"]),
        **read["load"],
    )


def of_scenario(options: Mapping[str, Any]) -> ScenarioOptions:
    """The options of a lab that change its scenario."""
    found = {name: value for name, value in options.items() if OPTIONS[name].reader != "lab"}
    return found  # type: ignore[return-value]  # the keys were checked


def record_of(plan: Plan, text: str, files: Sequence[Path], *, owner: int | None = None) -> dict[str, Any]:
    """The contents of ``lab.json``; the supervisor adds to it. The lab ends with the process ``owner``."""
    import time

    from netlab.lab import codec
    from netlab.version import __version__

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
    """Raise OptionError if a scenario names a program on this machine, which would run with your rights."""
    for node in plan.nodes:
        if node.proxy.startswith("/"):
            raise OptionError(
                f"needed to run {node.proxy}, which the scenario names as the proxy of {node.name}",
                "allow_programs",
            )
