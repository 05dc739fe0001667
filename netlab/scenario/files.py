"""Files that a scenario refers to: below its own folder, unless the user allows more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netlab.model.errors import ScenarioError
from netlab.scenario.reader import decode, read_bytes
from netlab.scenario.tree import Report, Value, shown


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of the first scenario file."""

    path: Path
    allow_outside: bool = False

    def read(self, value: Value, report: Report) -> str | None:
        """The text of the file that ``value`` names; None after a reported problem.

        A path that leads out of the folder, also by a symbolic link, is refused: a stranger's scenario
        must not read what it likes.
        """
        name = value.text
        if not name or "\0" in name:
            report.add(value.at, f"{shown(name)} is not the name of a file")
            return None
        path = self.path / name
        try:
            inside = path.resolve().is_relative_to(self.path.resolve())
        except (OSError, RuntimeError) as error:
            report.add(value.at, f"cannot read {shown(name)}: {error}")
            return None
        if not inside and not self.allow_outside:
            report.add(value.at, f"{shown(name)} is outside the scenario's folder")
            return None
        try:
            return decode(read_bytes(path, name, at=value.position), name)
        except ScenarioError as error:
            report.problems.extend(error.problems)
            return None
