"""What is wrong with a user's file, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from netlab.model.errors import UsageError
from netlab.model.shown import shown_in_line


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a user's file; lines and columns count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        if isinstance(self.file, OptionName) and (self.line, self.column) == (1, 1):
            return self.file
        return f"{shown_in_line(self.file)}:{self.line}:{self.column}"


class OptionName(str):
    """The name of an option in Python, such as ``project_name``, where a position has a file name."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One problem in a user's file."""

    position: Position
    message: str
    #: An option that helps, and its effect ("lets it be read"); both are empty if there is none.
    option: str = ""
    effect: str = ""

    def __str__(self) -> str:
        remedy = f"; {self.option} {self.effect}" if self.option else ""
        return f"{self.position}: {self.message}{remedy}"

    def spelled(self, spell: Callable[[str], str]) -> Problem:
        """The same problem, with the names of options as ``spell`` writes them."""
        file = self.position.file
        position = replace(self.position, file=OptionName(spell(file))) if _is_option(file) else self.position
        return replace(self, position=position, option=self.option and spell(self.option))


def _is_option(file: str) -> bool:
    return isinstance(file, OptionName)


class ScenarioError(UsageError):
    """The files of a scenario cannot be used. ``problems`` lists every problem, in the order of the file.

    >>> try:
    ...     netlab.load_plan(["scenarios/httpd.yaml"], engine="dokker-28")
    ... except netlab.ScenarioError as error:
    ...     print(error.problems[0].message)
    unknown engine "dokker-28" (did you mean "docker-28"?)
    """

    positioned = True

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def fields(self) -> dict[str, Any]:
        """Each problem as a list: whether it is about an option, file, line, column, message, remedy.

        >>> netlab.ScenarioError([]).fields()
        {'problems': []}
        """
        return {
            "problems": [
                [_is_option(p.position.file), *astuple(p.position), p.message, p.option, p.effect]
                for p in self.problems
            ]
        }

    @classmethod
    def of(cls, text: str, fields: dict[str, Any]) -> ScenarioError:
        """The inverse of :meth:`fields`; the problems make the text.

        >>> print(netlab.ScenarioError.of("", {"problems": [[False, "a.yaml", 3, 1, "no value", "", ""]]}))
        a.yaml:3:1: no value
        """
        del text
        return cls(
            [
                Problem(Position(OptionName(file) if is_option else file, line, column), *words)
                for is_option, file, line, column, *words in fields["problems"]
            ]
        )

    def spelled(self, spell: Callable[[str], str]) -> ScenarioError:
        """The same problems, with the names of options as ``spell`` writes them.

        >>> error = netlab.ScenarioError.of("", {"problems": [[True, "engine", 1, 1, "unknown", "", ""]]})
        >>> print(error.spelled(lambda name: f"--{name}"))
        --engine: unknown
        """
        return ScenarioError([problem.spelled(spell) for problem in self.problems])
