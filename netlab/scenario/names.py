"""What the names of a lab and of a Compose project may be, and which scenario files a folder offers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from netlab.model.file_names import COMPOSE_FILES, COMPOSE_OVERRIDES, LAB_LENGTH, NETLAB_FILES
from netlab.scenario.tree import shown

_LAB = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)
_PROJECT = re.compile(r"[a-z0-9][a-z0-9_-]*", re.ASCII)


def find_default(
    folder: str | Path, environ: Mapping[str, str] | None = None, *, above: bool = False
) -> list[Path]:
    """The scenario files of a folder, if the command line names none.

    First netlab.yaml, then the files in ``COMPOSE_FILE`` of ``environ``, then Compose's default names with
    their override file; with ``above``, then the same for the nearest folder above that has any. Empty if
    there is none. ``environ`` comes from :func:`~netlab.scenario.environment.folder_environment`.
    """
    folder, environ = Path(folder), environ or {}
    if named_by_variable(folder, environ):
        return _in_variable(folder, environ)
    for place in (folder, *(folder.resolve().parents if above else ())):
        found = _files_in(place)
        if found:
            return found
    return []


def find_compose(folder: str | Path, environ: Mapping[str, str]) -> list[Path]:
    """The files that Compose itself reads in a folder: those of ``COMPOSE_FILE``, else of its own names."""
    return _in_variable(Path(folder), environ) or _compose_files_in(Path(folder))


def _in_variable(folder: Path, environ: Mapping[str, str]) -> list[Path]:
    separator = environ.get("COMPOSE_PATH_SEPARATOR") or ":"
    return [folder / part for part in environ.get("COMPOSE_FILE", "").split(separator) if part]


def named_by_variable(folder: str | Path, environ: Mapping[str, str]) -> bool:
    """Whether COMPOSE_FILE names a folder's scenario files; netlab.yaml comes before it."""
    return bool(environ.get("COMPOSE_FILE")) and not any(
        (Path(folder) / name).is_file() for name in NETLAB_FILES
    )


def _files_in(folder: Path) -> list[Path]:
    for name in NETLAB_FILES:
        if (folder / name).is_file():
            return [folder / name]
    return _compose_files_in(folder)


def _compose_files_in(folder: Path) -> list[Path]:
    for name in COMPOSE_FILES:
        if (folder / name).is_file():
            overrides = [folder / other for other in COMPOSE_OVERRIDES if (folder / other).is_file()]
            return [folder / name, *overrides[:1]]
    return []


def wrong_lab_name(text: str) -> str | None:
    """What is wrong with a lab's name; None if nothing is."""
    if "." in text:
        return f"the name {shown(text)} has a dot, which separates a lab from its node (LAB.NODE)"
    if len(text) > LAB_LENGTH:
        return f"the name {shown(text)} is longer than {LAB_LENGTH} characters"
    if not _LAB.fullmatch(text):
        return f"the name {shown(text)} must consist of letters, digits, - and _, and begin with no sign"
    return None


def normalised_project(text: str) -> str:
    """Compose's rule for a name that it makes itself: lower case, only a-z 0-9 _ -, no sign in front."""
    return re.sub(r"[^a-z0-9_-]", "", text.lower()).lstrip("_-")


def wrong_project(text: str) -> str | None:
    """What Compose objects to in a chosen project name; None if nothing."""
    if not _PROJECT.fullmatch(text):
        return (
            f"the project name {shown(text)} must consist of lower-case letters, digits, - and _,"
            " and begin with a letter or a digit"
        )
    return None
