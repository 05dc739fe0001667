"""A Compose project's files into one tree: interpolation, extends, include, merge.

Source: the Compose specification and compose-go's ``loader``. Each document of each file is interpolated, its
``extends`` and ``include`` are applied, and it is put over those before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path

from netlab.model.problem import Position
from netlab.scenario.environment import (
    main_environment,
    project_name,
    read_env_files,
    read_environment,
)
from netlab.scenario.extends import apply_extends
from netlab.scenario.files import Files
from netlab.scenario.interpolate import interpolate
from netlab.scenario.merge import merge, without_resets
from netlab.scenario.places import Place, Source
from netlab.scenario.tree import Report, Value, hint, shown

INCLUDE_LIMIT = 16  #: files that include one another
#: What an include imports (compose-go's ``loader/include.go``, importResources).
_SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
_INCLUDE_KEYS = ("path", "project_directory", "env_file")


@dataclass(frozen=True, slots=True)
class Project:
    """The merged files, what the project is called, and the variables that they saw."""

    root: Value
    name: str
    environment: Mapping[str, str]


def load_project(
    files: Sequence[Place],
    environ: Mapping[str, str],
    name: str | None,
    report: Report,
    folder: Place,
    readable: Files,
    named: bool,
    env_files: Sequence[str | Path],
) -> Project | None:
    """The project of ``files`` in ``folder``; None after reported problems.

    ``readable`` says which files may be read; if the user ``named`` the files themselves, they may be any.
    """
    environment = main_environment(folder, environ, env_files, readable, report)
    source = Source(report, readable)
    at = {place: None if named else Position(place.shown, 1, 1) for place in files}
    found = [source.get(place, at[place]) for place in files]
    roots = [root for documents in found if documents is not None for root in documents[0]]
    project = project_name(folder, roots, environment, name, report)
    environment["COMPOSE_PROJECT_NAME"] = project
    root = _Level(source, folder, environment, ()).load(files)
    return None if root is None else Project(root, project, environment)


@dataclass(frozen=True, slots=True)
class _Level:
    """The main files, or the files of one include."""

    source: Source
    folder: Place
    environment: Mapping[str, str]
    #: the files that led here by include, outermost first
    parents: tuple[str, ...]

    @property
    def report(self) -> Report:
        return self.source.report

    def load(self, files: Sequence[Place]) -> Value | None:
        merged: Value | None = None
        for place in files:
            for root in self._documents(place, Position(place.shown, 1, 1)):
                root = apply_extends(root, place, self.folder, self._fetch, self.report)
                root = self._include(root, place)
                merged = root if merged is None else merge(merged, root, self.report)
        return None if merged is None else without_resets(merged)

    def _fetch(self, place: Place, at: Position | None) -> Value | None:
        """One file, its documents merged; None after a reported problem."""
        documents = self._documents(place, at)
        return reduce(partial(merge, report=self.report), documents) if documents else None

    def _documents(self, place: Place, at: Position | None) -> list[Value]:
        """The documents of one file, interpolated, each a mapping; none after a reported problem."""
        found = self.source.get(place, at)
        if found is None:
            return []
        roots, dollars = found
        for root in roots:
            if not isinstance(root.data, dict):
                self.report.add(root.at, f"a Compose file is a mapping, not {root.kind}")
                return []
        return [interpolate(root, self.environment.get, self.report) if dollars else root for root in roots]

    def _include(self, root: Value, place: Place) -> Value:
        written = root.get("include")
        if written is None:
            return root
        if not isinstance(written.data, list):
            self.report.add(written.at, f"include must be a list, not {written.kind}")
        for item in written:
            imported = self._included(item, place)
            if imported is not None:
                root = _import(imported, root, self.report)
        return root.with_data({key: value for key, value in root.pairs() if key != "include"})

    def _included(self, item: Value, place: Place) -> Value | None:
        if not isinstance(item.data, str | dict):
            self.report.add(item.at, f"an entry of include is a path or a mapping, not {item.kind}")
            return None
        long = item if isinstance(item.data, dict) else item.with_data({"path": item})
        for key, _ in long.pairs():
            if key not in _INCLUDE_KEYS and not key.startswith("x-"):
                more = hint(key, _INCLUDE_KEYS)
                self.report.add(long.key_at(key), f"unknown key {shown(key)} in include{more}")
        paths = self._paths(long.get("path"), "path")
        if not paths:
            self.report.add(item.at, "an entry of include needs a path")
            return None
        parents = (*self.parents, place.key)
        files = [self.folder.below(path.text) for path in paths]
        if any(file.key in parents for file in files):
            self.report.add(item.at, f"{shown(paths[0].text)} includes itself")
            return None
        if len(parents) > INCLUDE_LIMIT:
            self.report.add(item.at, f"files include one another more than {INCLUDE_LIMIT} deep")
            return None
        found = [self.source.get(file, path.position) for file, path in zip(files, paths, strict=True)]
        if None in found:
            return None
        chosen = self._paths(long.get("project_directory"), "project_directory")
        folder = self.folder.below(chosen[0].text) if chosen else files[0].parent
        return _Level(self.source, folder, self._variables(long, folder), parents).load(files)

    def _variables(self, item: Value, folder: Place) -> dict[str, str]:
        written = self._paths(item.get("env_file"), "env_file")
        if not written:
            return read_environment(folder, self.environment, self.source.files, self.report)
        files = [(self.folder.below(path.text), path.position) for path in written]
        return read_env_files(files, self.environment, self.source.files, self.report)

    def _paths(self, value: Value | None, what: str) -> list[Value]:
        found = []
        for item in () if value is None else value if isinstance(value.data, list) else (value,):
            if isinstance(item.data, str) and item.data and "\0" not in item.data:
                found.append(item)
            else:
                self.report.add(item.at, f"include: {what} must be a path, not {item.kind}")
        return found


def _import(imported: Value, root: Value, report: Report) -> Value:
    """Put what another project defines beside what this one does; a clash is an error."""
    data = dict(root.map)
    for section in _SECTIONS:
        theirs, ours = imported.get(section), root.get(section)
        if theirs is None or not isinstance(theirs.data, dict):
            continue
        if ours is not None and not isinstance(ours.data, dict):
            continue
        merged = {} if ours is None else dict(ours.map)
        keys = {} if ours is None else dict(ours.keys)
        for key, entry in theirs.pairs():
            if key in merged and merged[key].plain() != entry.plain():
                where = Position(*theirs.key_at(key))
                report.add(keys[key], f"{section}.{key} clashes with the included one at {where}")
            merged.setdefault(key, entry)
            keys.setdefault(key, theirs.key_at(key))
        data[section] = Value({**merged}, theirs.at if ours is None else ours.at, keys=keys)
    return root.with_data(data)
