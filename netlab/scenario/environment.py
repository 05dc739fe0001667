"""The variables that a Compose file may use, the project's name, and the active profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.model.errors import Position, ScenarioError
from netlab.scenario.dotenv import parse
from netlab.scenario.interpolate import TemplateError, substitute
from netlab.scenario.names import normalised_project, wrong_project
from netlab.scenario.places import Place
from netlab.scenario.reader import decode, read_bytes
from netlab.scenario.tree import Report, Value

_YES = ("1", "t", "true", "y", "yes", "on")


def read_environment(folder: Place, environ: Mapping[str, str], report: Report) -> dict[str, str]:
    """``.env`` of the folder (or the files that COMPOSE_ENV_FILES names) below ``environ``, which wins."""
    named = [part for part in environ.get("COMPOSE_ENV_FILES", "").split(",") if part]
    if not named and environ.get("COMPOSE_DISABLE_ENV_FILE", "").lower() in _YES:
        return dict(environ)
    if not named:
        place = folder.below(".env")
        return read_env_files([(place, None)] if place.path.is_file() else [], environ, report)
    return read_env_files([(folder.below(part), None) for part in named], environ, report)


def read_env_files(
    files: Sequence[tuple[Place, Position | None]], environ: Mapping[str, str], report: Report
) -> dict[str, str]:
    """The variables of several files, the later ones winning, below ``environ``, which wins over all."""
    found: dict[str, str] = {}
    for place, at in files:
        known = found | dict(environ)
        try:
            text = decode(read_bytes(place.path, place.shown, at=at), place.shown)
            found |= parse(text, place.shown, known.get)
        except ScenarioError as error:
            report.problems.extend(error.problems)
    return found | dict(environ)


def project_name(
    folder: Place, roots: Sequence[Value], environment: Mapping[str, str], chosen: str | None, report: Report
) -> str:
    """The command line's, COMPOSE_PROJECT_NAME, the last ``name:`` of the files, or the folder's."""
    at = ("--project-name", 1, 1)
    if chosen is None:
        chosen, at = environment.get("COMPOSE_PROJECT_NAME"), ("COMPOSE_PROJECT_NAME", 1, 1)
    if not chosen:
        written = [value for root in roots if (value := root.get("name")) is not None]
        if not written or not isinstance(written[-1].data, str):
            return normalised_project(folder.path.resolve().name) or "netlab"
        at = written[-1].at
        try:
            chosen = substitute(written[-1].data, environment.get)
        except TemplateError:
            return "netlab"  # interpolation of the whole file reports it
    wrong = wrong_project(chosen)
    if wrong:
        report.add(at, wrong)
    return chosen


def active_profiles(environment: Mapping[str, str], asked: Sequence[str]) -> frozenset[str]:
    """The profiles asked for and those of COMPOSE_PROFILES."""
    named = [part.strip() for part in environment.get("COMPOSE_PROFILES", "").split(",")]
    return frozenset(part for part in (*asked, *named) if part)
