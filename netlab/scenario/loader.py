"""From files to a checked scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netlab.model.errors import OptionError, UsageError
from netlab.model.file_names import lab_name
from netlab.model.problem import OptionName, Position
from netlab.model.scenario import Scenario
from netlab.scenario import compose_shapes
from netlab.scenario.assemble import (
    Drafted,
    Neighbours,
    Parts,
    SharedNodes,
    assemble,
    check_scale,
    draft,
    read_shared_nodes,
    scaled,
)
from netlab.scenario.attach import container_names
from netlab.scenario.check import check_lab, check_project
from netlab.scenario.check_size import check_size
from netlab.scenario.environment import active_profiles
from netlab.scenario.files import Files
from netlab.scenario.hosts import Overrides
from netlab.scenario.names import wrong_lab_name
from netlab.scenario.netlab_shapes import NETLAB
from netlab.scenario.places import Place
from netlab.scenario.project import Project, load_project
from netlab.scenario.together import together
from netlab.scenario.tree import Report, Value, in_order

COMPOSE = compose_shapes.compose(NETLAB)
_NO_OVERRIDES = Overrides()
#: the keys of ``x-netlab`` that describe what all projects of a lab share
_SHARED = ("host", "hosts", "rules", "outside", "internet", "segments")


@dataclass(frozen=True, slots=True)
class Sources:
    """The files of one Compose project, to be merged from left to right.

    ``environ``: the variables of their folder, if it was searched. ``found_in``: the user named no files;
    they were found in this folder and must be below it.
    """

    files: Sequence[str | Path]
    environ: Mapping[str, str] | None = None
    found_in: str | Path | None = None


@dataclass(frozen=True, slots=True)
class _Read:
    """A Compose project as read: its tree, and where it came from."""

    root: Value
    project: Project
    places: tuple[Place, ...]
    folder: Place
    readable: Files
    profiles: frozenset[str]


def load(
    files: Sequence[str | Path],
    *,
    environ: Mapping[str, str] | None = None,
    project_name: str | None = None,
    profiles: Sequence[str] = (),
    env_files: Sequence[str | Path] = (),
    project_directory: str | Path | None = None,
    overrides: Overrides = _NO_OVERRIDES,
    allow_outside_files: bool = False,
    found_in: str | Path | None = None,
    lenient: bool = False,
    more: Sequence[Sources] = (),
) -> Scenario:
    """The scenario in ``files``, merged from left to right by Compose's rules.

    ``environ`` is the environment that Compose would see (the process's own is not used); ``env_files``
    replace ``.env``. ``project_directory`` replaces the first file's folder, which determines ``.env``,
    relative paths and the project's name. ``.env`` and all files that the scenario names must be below one of
    these two, unless ``allow_outside_files``. ``found_in``: the user named no files; they were found in this
    folder and must be below it, too. With ``lenient``, networks and containers that netlab cannot reproduce
    are left out, with a warning. ``more``: further Compose projects, started later on the same hosts. Raises
    ScenarioError with all problems, UsageError without files.
    """
    sources = (Sources(files, environ, found_in), *more)
    if not all(one.files for one in sources):
        raise UsageError("no scenario file was given")
    for option, value in (("project_name", project_name), ("project_directory", project_directory)):
        if more and value is not None:
            raise OptionError("is that of one project, and these are several", option)
    report = Report(lenient=lenient)
    places = [Place.of(file) for one in sources for file in one.files]
    name = overrides.name if overrides.name is not None else lab_name(places[0].path)
    wrong = wrong_lab_name(name)
    if wrong:
        report.add((OptionName("name"), 1, 1), wrong)
    preliminary = bool(report)
    found = [
        _read(
            Sources(one.files, one.environ if one.environ is not None else environ, one.found_in),
            project_name,
            profiles,
            env_files,
            project_directory,
            overrides,
            allow_outside_files,
            report,
        )
        for one in sources
    ]
    projects = [one for one in found if one is not None]
    if preliminary or len(projects) < len(sources):
        # a variable or a file is missing: other problems may only be consequences
        report.raise_if_any()
    parts = together(_parts(projects, overrides, report), report)
    check_lab(parts, report)
    report.raise_if_any()
    return _scenario(name, projects[0].project.name, places, parts, report)


def _read(
    source: Sources,
    project_name: str | None,
    profiles: Sequence[str],
    env_files: Sequence[str | Path],
    project_directory: str | Path | None,
    overrides: Overrides,
    allow_outside_files: bool,
    report: Report,
) -> _Read | None:
    """One project's tree, clean in form; None if too much of it is missing, which was reported."""
    before = len(report.problems)
    places = tuple(Place.of(file) for file in source.files)
    own = places[0].path.parent if source.found_in is None else Path(source.found_in)
    folder = _project_folder(places, project_directory, report)
    readable = Files.beneath(
        own, *(() if project_directory is None else (folder.path,)), allow_outside=allow_outside_files
    )
    named = source.found_in is None
    environ = source.environ or {}
    project = load_project(places, environ, project_name, report, folder, readable, named, env_files)
    if project is None:
        return None
    missing = len(report.problems) > before
    root = COMPOSE.clean(project.root, "", report)
    if root is None or missing:
        return None
    chosen = active_profiles(project.environment, profiles)
    if check_size(root, overrides.scale, chosen, report):
        report.raise_if_any()  # before anything is made of it
    return _Read(root, project, places, folder, readable, chosen)


def _parts(projects: Sequence[_Read], overrides: Overrides, report: Report) -> list[Parts]:
    """Every part of every project, held against the others of its project."""
    shared = _shared_nodes(projects, overrides, report)
    drafted = [
        draft(one.root, one.project.root, one.project.name, shared.hosts, one.profiles, report)
        for one in projects
    ]
    check_scale(drafted, overrides.scale, report)
    drafted = [scaled(one, overrides.scale, report) for one in drafted]
    networks: set[str] = set()
    found = []
    for one, own in zip(projects, drafted, strict=True):
        neighbours = Neighbours(_containers(drafted, own), frozenset(networks))
        parts = assemble(one.root, one.project.root, one.project.name, shared, own, neighbours, report)
        check_project(parts, one.folder.path, report)
        networks |= {network.name for network in parts.networks if not network.external}
        found.append(parts)
    return found


def _containers(projects: Sequence[Drafted], own: Drafted) -> frozenset[str]:
    """The containers of all projects but one."""
    return container_names(
        service for project in projects if project is not own for service in project.enabled
    )


def _shared_nodes(projects: Sequence[_Read], overrides: Overrides, report: Report) -> SharedNodes:
    """What the one project says that describes the hosts or the nodes outside."""
    first: tuple[_Read, str] | None = None
    for one in projects:
        netlab = one.root.get("x-netlab")
        key = next((key for key in _SHARED if netlab is not None and netlab.get(key) is not None), None)
        if key is None or netlab is None:
            continue
        if first is None:
            first = (one, key)
            continue
        there = Position(*(first[0].root.get("x-netlab") or netlab).key_at(first[1]))
        what = f"x-netlab.{first[1]} of {first[0].project.name} describes the lab's hosts already ({there})"
        report.add(netlab.key_at(key), f"x-netlab.{key}: {what}")
    chosen = first[0] if first is not None else _with_block(projects)
    folder = chosen.places[0].path.parent
    return read_shared_nodes(
        chosen.root, overrides, lambda value: chosen.readable.text(folder, value, report), report
    )


def _with_block(projects: Sequence[_Read]) -> _Read:
    """The first project with an ``x-netlab`` block, or else the first."""
    return next((one for one in projects if one.root.get("x-netlab") is not None), projects[0])


def _scenario(name: str, project: str, places: Sequence[Place], parts: Parts, report: Report) -> Scenario:
    return Scenario(
        name=name,
        project=project,
        files=tuple(place.shown for place in places),
        hosts=parts.hosts,
        outside=parts.outside,
        networks=parts.networks,
        services=tuple(draft.service for draft in parts.drafts),
        events=tuple(event for event, _ in parts.events),
        expect=tuple(expectation for expectation, _ in parts.expect),
        exposures=tuple(expectation for expectation, _ in parts.exposures),
        warnings=tuple(in_order(report.warnings)),
        profiles=tuple(_profiles(parts)),
    )


def _profiles(parts: Parts) -> dict[str, None]:
    """Every profile that some service names, in the order of the file."""
    services = parts.root.get("services")
    pairs = services.pairs() if services is not None else ()
    return dict.fromkeys(item.text for _, service in pairs for item in service.get("profiles") or ())


def _project_folder(places: Sequence[Place], chosen: str | Path | None, report: Report) -> Place:
    """The folder from which paths in the files go out."""
    if chosen is None:
        return places[0].parent
    folder = Place.of(chosen)
    if not folder.path.is_dir():
        report.add((OptionName("project_directory"), 1, 1), f"{folder.shown} is not a folder")
        report.raise_if_any()
    return folder
