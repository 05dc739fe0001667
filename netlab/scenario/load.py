"""From files to a checked scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netlab.model.errors import UsageError
from netlab.model.problem import OptionName
from netlab.model.scenario import Scenario
from netlab.scenario import compose_shapes
from netlab.scenario.assemble import Parts, assemble
from netlab.scenario.check import check
from netlab.scenario.check_size import check_size
from netlab.scenario.environment import active_profiles
from netlab.scenario.files import Files
from netlab.scenario.hosts import Overrides
from netlab.scenario.names import lab_name, wrong_lab_name
from netlab.scenario.netlab_shapes import NETLAB
from netlab.scenario.places import Place
from netlab.scenario.project import load_project
from netlab.scenario.tree import Report, in_order

COMPOSE = compose_shapes.compose(NETLAB)
_NO_OVERRIDES = Overrides()


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
) -> Scenario:
    """The scenario in ``files``, merged from left to right by Compose's rules.

    ``environ`` is the environment that Compose would see (the process's own is not used); ``env_files``
    replace ``.env``. ``project_directory`` replaces the first file's folder, which determines ``.env``,
    relative paths and the project's name. ``.env`` and all files that the scenario names must be below one of
    these two, unless ``allow_outside_files``. ``found_in``: the user named no files; they were found in this
    folder and must be below it, too. With ``lenient``, networks and containers that netlab cannot reproduce
    are left out, with a warning. Raises ScenarioError with all problems, UsageError without files.
    """
    if not files:
        raise UsageError("no scenario file was given")
    report = Report(lenient=lenient)
    places = [Place.of(file) for file in files]
    name = overrides.name if overrides.name is not None else lab_name(places[0].path)
    wrong = wrong_lab_name(name)
    if wrong:
        report.add((OptionName("name"), 1, 1), wrong)
    own = places[0].path.parent if found_in is None else Path(found_in)
    folder = _project_folder(places, project_directory, report)
    readable = Files.beneath(
        own, *(() if project_directory is None else (folder.path,)), allow_outside=allow_outside_files
    )
    named = found_in is None
    project = load_project(places, environ or {}, project_name, report, folder, readable, named, env_files)
    if project is None:
        report.raise_if_any()
    assert project is not None
    preliminary = bool(report)
    root = COMPOSE.clean(project.root, "", report)
    if preliminary or root is None:
        # a variable or a file is missing: other problems may only be consequences
        report.raise_if_any()
    assert root is not None
    chosen_profiles = active_profiles(project.environment, profiles)
    if check_size(root, overrides.scale, chosen_profiles, report):
        report.raise_if_any()  # before anything is made of it
    parts = assemble(
        root,
        project.root,
        project.name,
        chosen_profiles,
        overrides,
        lambda value: readable.text(places[0].path.parent, value, report),
        report,
    )
    check(parts, folder.path, report)
    report.raise_if_any()
    return _scenario(name, project.name, places, parts, report)


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
