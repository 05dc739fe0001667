"""Files and folders, each with the name by which the user knows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath

from netlab.model.problem import Position, ScenarioError
from netlab.scenario.files import Files
from netlab.scenario.reader import read_all
from netlab.scenario.tree import Report, Value

FILE_LIMIT = 1000  #: files read for one scenario


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder; ``shown`` is how a message calls it."""

    path: Path
    shown: str

    @classmethod
    def of(cls, file: str | Path) -> Place:
        """As the command line names it."""
        return cls(Path(file).absolute(), str(file))

    @property
    def parent(self) -> Place:
        """The folder that contains it."""
        shown = str(PurePath(self.shown).parent)
        return Place(self.path.parent, "" if shown == "." else shown)

    def below(self, name: str) -> Place:
        """What ``name``, relative or absolute, means in this folder."""
        return Place(self.path / name, str(PurePath(self.shown) / name))

    @property
    def key(self) -> str:
        """The same for every path to the same file."""
        try:
            return str(self.path.resolve())
        except (OSError, RuntimeError, ValueError):
            return str(self.path)


@dataclass(slots=True)
class Source:
    """The YAML files that were read for one scenario: each once, and not without end."""

    report: Report
    files: Files
    read: dict[str, tuple[tuple[Value, ...], bool] | None] = field(default_factory=dict)

    def get(self, place: Place, at: Position | None = None) -> tuple[tuple[Value, ...], bool] | None:
        """Its documents as written, and whether they contain a dollar sign; None after a reported problem."""
        key = place.key
        if key not in self.read:
            self.read[key] = None
            if len(self.read) > FILE_LIMIT:
                self.report.add(at or Position(place.shown, 1, 1), f"more than {FILE_LIMIT} files")
                return None
            try:
                content = self.files.read(place.path, place.shown, at)
                self.read[key] = (read_all(content, place.shown), b"$" in content)
            except ScenarioError as error:
                self.report.problems.extend(error.problems)
        return self.read[key]
