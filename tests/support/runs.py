"""Long random runs: their counts, kept in a file and added up, and what failed made as small as it goes."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

#: what tells runs apart, and is not added up
_NAMES = ("seed", "revision", "nft")


class Counted(Protocol):
    """A dataclass of one run: numbers, lists, and ``outcomes``, which is a Counter; each has a default."""

    __dataclass_fields__: Any
    seed: int
    revision: str  #: of netlab
    outcomes: Counter[str]


Count = TypeVar("Count", bound=Counted)
Thing = TypeVar("Thing")


def load(kind: type[Count], file: Path) -> list[Count]:
    """The runs of a file; none if it does not exist."""
    found = json.loads(file.read_text()) if file.exists() else []
    return [kind(**{**one, "outcomes": Counter(one["outcomes"])}) for one in found]


def save(count: Count, file: Path) -> list[Count]:
    """Write a run into the file, in place of what it has of the same seed and revision; all runs."""
    others = [
        one for one in load(type(count), file) if (one.seed, one.revision) != (count.seed, count.revision)
    ]
    runs = [*others, count]
    whole = file.with_suffix(".new")  # a run that is broken off leaves the old file or the new one
    whole.write_text(json.dumps([vars(one) for one in runs], indent=1) + "\n")
    whole.replace(file)
    return runs


def total(kind: type[Count], runs: Iterable[Count]) -> Count:
    """The sum of several runs."""
    summed = kind()
    for run in runs:
        for one in fields(kind):
            if one.name not in _NAMES:
                setattr(summed, one.name, getattr(summed, one.name) + getattr(run, one.name))
    return summed


def table(counter: Counter[str]) -> str:
    """The rows of a table in Markdown, by name."""
    return "\n".join(f"| `{name}` | {number} |" for name, number in sorted(counter.items()))


def listed(lines: Iterable[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"* {line}" for line in lines) or "None."


def revision() -> str:
    """Of netlab's sources; empty if they are not in a repository."""
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def fewest(things: Sequence[Thing], fails: Callable[[Sequence[Thing]], bool]) -> Sequence[Thing]:
    """As few of some things as still fail: each is left out in turn, the last first."""
    for number in range(len(things) - 1, -1, -1):
        fewer = [*things[:number], *things[number + 1 :]]
        if fails(fewer):
            things = fewer
    return things
