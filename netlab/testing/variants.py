"""From a ``netlab`` marker and the command line to the labs that a test is run in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from netlab.engine import get
from netlab.lab.options import OPTIONS, PLUS
from netlab.model.errors import UsageError

Scope = Literal["function", "module", "session"]
SCOPES: tuple[Scope, ...] = ("function", "module", "session")


class MarkerError(Exception):
    """A marker, or a parameter of ``lab``, cannot be understood; the text says why."""


def check_engines(names: Iterable[str]) -> None:
    """Raise pytest.UsageError for a name of the command line that is no engine's."""
    try:
        for name in names:
            get(name)
    except UsageError as error:
        raise pytest.UsageError(f"--netlab-engine: {error}") from None


@dataclass(frozen=True)
class Variant:
    """One lab that a test uses: files (merged by Compose's rules), options, and its scope.

    ``id`` says how it differs from the test's other variants. ``mismatch`` says why the command line excludes
    it.
    """

    files: tuple[Path, ...]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    scope: Scope = "function"
    id: str = ""
    mismatch: str = ""

    @property
    def key(self) -> str:
        """The same for two that may share one lab."""
        return json.dumps([[str(file) for file in self.files], self.keywords], sort_keys=True, default=str)

    def __str__(self) -> str:
        names = " ".join(file.name for file in self.files)
        words = [_words(self.keywords[key]) for key in _axes() if self.keywords.get(key)]
        return " ".join([names, *words])


@dataclass(frozen=True)
class Wish:
    """What the markers of a test say together: the nearest one counts for each thing that it says."""

    files: tuple[Any, ...]
    options: Mapping[str, Any]
    scope: Scope

    @classmethod
    def of(cls, markers: Iterable[pytest.Mark], param: object = None) -> Wish:
        """From markers, the nearest first, and a parameter: a file, or a mapping of options."""
        files: tuple[Any, ...] = ()
        options: dict[str, Any] = {}
        for marker in markers:
            files = files or marker.args
            options = {**marker.kwargs, **options}
        if isinstance(param, Mapping):
            options.update(param)
            files = _as_tuple(options.pop("file", files))
        elif param is not None:
            files = _as_tuple(param)
        scope = options.pop("scope", "function")
        if scope not in SCOPES:
            raise MarkerError(f"scope={scope!r} must be one of {', '.join(SCOPES)}")
        for key in options:
            if key not in OPTIONS or not OPTIONS[key].marker:
                known = [name for name, option in OPTIONS.items() if option.marker]
                raise MarkerError(f"{key}= is not an option of a lab: {', '.join((*known, 'scope'))}")
        if not files:
            raise MarkerError('no scenario is named: @pytest.mark.netlab("scenario.yaml")')
        return cls(files, options, cast(Scope, scope))

    def variants(self, folders: Sequence[Path], engines: Sequence[str] = ()) -> list[Variant]:
        """All variants: lists are alternatives, on each axis.

        Files are searched in ``folders``. ``engines`` are those of the command line: a marker without engines
        runs with each, a marker with engines runs with those that the command line names, too.
        """
        alternatives = self.files[0] if len(self.files) == 1 and isinstance(self.files[0], list) else None
        files = [(one,) for one in alternatives] if alternatives is not None else [self.files]
        axes: list[list[tuple[str, str, Any]]] = [
            [("file", Path(str(some[0])).stem, _found(some, folders)) for some in map(_flat, files)]
        ]
        mismatch = ""
        for axis in _axes():
            values = self._axis(axis)
            if axis == "engine" and engines:
                chosen = [engine for engine in engines if engine in values] if values else list(engines)
                if not chosen:
                    mismatch = f"for {', '.join(map(str, values))}; asked for: {', '.join(engines)}"
                values = chosen or values[:1]
            if values:
                axes.append([(axis, _words(value), value) for value in values])
        rest = {key: value for key, value in self.options.items() if key not in _axes()}
        found = []
        for chosen_ones in itertools.product(*axes):
            words = [
                word
                for (axis, word, _), some in zip(chosen_ones, axes, strict=True)
                if len(some) > 1 or (axis == "engine" and engines)
            ]
            own = {axis: value for axis, _, value in chosen_ones if axis != "file"}
            found.append(Variant(chosen_ones[0][2], {**rest, **own}, self.scope, "-".join(words), mismatch))
        return found

    def _axis(self, axis: str) -> list[Any]:
        said = self.options.get(axis)
        if said is None:
            return []
        several = OPTIONS[axis].kind.form == "list"  # KEY=VALUE lines are one daemon.json
        lists = (list,) if several else (list, tuple)
        values = list(said) if isinstance(said, lists) else [said]
        if not values:
            raise MarkerError(f"{axis}={said!r} leaves nothing to run")
        return [_as_lines(value) if several else value for value in values]


def _axes() -> list[str]:
    """The options of which a marker may list several values, one lab for each."""
    return [name for name, option in OPTIONS.items() if option.axis and option.marker]


def _as_lines(value: object) -> Any:
    """The value of one variant as `netlab.Lab` takes it: a mapping, or a list of ``KEY=VALUE`` lines."""
    return (value,) if isinstance(value, str) else value


def _as_tuple(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, tuple) else (value,)


def _flat(files: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(one for file in files for one in _as_tuple(file))


def _found(files: Sequence[Any], folders: Sequence[Path]) -> tuple[Path, ...]:
    return tuple(Path(PLUS) if file == PLUS else _find(str(file), folders) for file in files)


def _find(name: str, folders: Sequence[Path]) -> Path:
    for folder in folders:
        path = folder / name
        if path.exists():
            return path
    raise MarkerError(f"there is no {name} in {' or '.join(str(folder) for folder in folders)}")


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_word(one)}" for key, one in value.items()) or "default"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(map(str, value))
    return str(value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
