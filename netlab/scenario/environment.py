"""The variables that a Compose file may use, the project's name, and the active profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from netlab.model.problem import OptionName, Position, Problem, ScenarioError
from netlab.scenario.dotenv import parse
from netlab.scenario.files import Files
from netlab.scenario.interpolate import TemplateError, substitute
from netlab.scenario.names import normalised_project, wrong_project
from netlab.scenario.places import Place
from netlab.scenario.reader import decode
from netlab.scenario.tree import Mark, Report, Value, shown

#: A file of variables is not YAML, which allows no such character.
_NUL = "a NUL character, which no variable can hold"
#: What Go's strconv.ParseBool considers true.
_YES = ("1", "t", "T", "true", "True", "TRUE")


def folder_environment(
    folder: str | Path,
    environ: Mapping[str, str],
    env_files: Sequence[str | Path] = (),
    *,
    allow_outside_files: bool = False,
) -> dict[str, str]:
    """The variables of a folder in which scenario files are searched for: COMPOSE_FILE may be one of them.

    Raises ScenarioError for an environment file that cannot be read.
    """
    report = Report()
    files = Files.beneath(Path(folder), allow_outside=allow_outside_files)
    found = main_environment(Place.of(folder), environ, env_files, files, report)
    report.raise_if_any()
    return found


def main_environment(
    folder: Place, environ: Mapping[str, str], env_files: Sequence[str | Path], files: Files, report: Report
) -> dict[str, str]:
    """The variables of a project; ``environ`` takes precedence.

    They come from ``env_files``, or else from the files in COMPOSE_ENV_FILES (both are paths relative to the
    working directory), or else from ``.env`` in the project's folder, unless COMPOSE_DISABLE_ENV_FILE forbids
    it.
    """
    named = [str(file) for file in env_files]
    named = named or [part for part in environ.get("COMPOSE_ENV_FILES", "").split(",") if part]
    if named:
        return read_env_files([(Place.of(part), None) for part in named], environ, files, report)
    if environ.get("COMPOSE_DISABLE_ENV_FILE", "") in _YES:
        return dict(environ)
    return read_environment(folder, environ, files, report)


def read_environment(
    folder: Place, environ: Mapping[str, str], files: Files, report: Report
) -> dict[str, str]:
    """``.env`` of a folder, if it has one, below ``environ``, which wins."""
    place = folder.below(".env")
    found = [(place, Position(place.shown, 1, 1))] if place.path.is_file() else []
    return read_env_files(found, environ, files, report)


def read_env_files(
    named: Sequence[tuple[Place, Position | None]], environ: Mapping[str, str], files: Files, report: Report
) -> dict[str, str]:
    """The variables of several files, the later ones winning, below ``environ``, which wins over all.

    Each with the place at which it is named; None: by the user.
    """
    found: dict[str, str] = {}
    for place, at in named:
        known = found | dict(environ)
        try:
            text = decode(files.read(place.path, place.shown, at), place.shown)
            if "\0" in text:
                line = text.count("\n", 0, text.index("\0")) + 1
                raise ScenarioError([Problem(Position(place.shown, line, 1), _NUL)])
            found |= parse(text, place.shown, known.get)
        except ScenarioError as error:
            report.problems.extend(error.problems)
    return found | dict(environ)


def project_name(
    folder: Place, roots: Sequence[Value], environment: Mapping[str, str], chosen: str | None, report: Report
) -> str:
    """The project's name: from the command line, COMPOSE_PROJECT_NAME, the last ``name:``, or the folder.

    A name from the command line or the environment must be valid as written; Compose normalises the others.
    """
    at: Mark = (OptionName("project_name"), 1, 1)
    if chosen is None:
        chosen, at = environment.get("COMPOSE_PROJECT_NAME"), ("COMPOSE_PROJECT_NAME", 1, 1)
    if chosen:
        wrong = wrong_project(chosen)
        if wrong:
            report.add(at, wrong)
        return chosen
    own = normalised_project(folder.path.resolve().name) or "netlab"
    written = [value for root in roots if (value := root.get("name")) is not None]
    if not written or not isinstance(written[-1].data, str):
        return own
    try:
        named = substitute(written[-1].data, environment.get)
    except TemplateError:
        return own  # interpolation of the whole file reports it
    if named and not normalised_project(named):
        report.add(written[-1].at, f"the project name {shown(named)} has no letter and no digit")
    return normalised_project(named) or own


def active_profiles(environment: Mapping[str, str], asked: Sequence[str]) -> frozenset[str]:
    """The profiles from the command line, or else those of COMPOSE_PROFILES."""
    named = [part.strip() for part in environment.get("COMPOSE_PROFILES", "").split(",")]
    return frozenset(part for part in asked or named if part)
