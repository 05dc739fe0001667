"""A daemon's facts beside netlab's, and the departures that are allowed between them.

``departures.toml`` is the one place where a difference may be excused: each entry names the engines and
the sections it is about, a pattern with what replaces it on both sides, and why. An entry that made no
difference to any comparison is an error of its own, so the list can only be as long as it must.

Entries of the kind ``chance`` are about what a daemon leaves to chance, such as the order of a Go map. There
nothing is excused: the daemon gets some tries, and must once do, down to the line, what netlab always does.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtruth.facts import Facts

DEPARTURES = Path(__file__).parents[1] / "departures.toml"
#: What law 6 of the design lets differ, and ``older-version``: what a version did before its engine's newest,
#: after which the engine is made. Its ``engine`` names the version: ``podman-5-*@5.4.2``.
KINDS = ("older-version", "id", "random-mac", "pid", "nodad", "icmp-ratelimit", "trace-table", "random-port")
#: What is tried again.
CHANCE = "chance"


@dataclass(frozen=True, slots=True)
class Chance:
    """Scenarios in which a daemon does now this, now that."""

    name: str
    engine: str  #: a glob over engine names
    scenarios: tuple[str, ...]
    tries: int
    why: str

    def applies(self, engine: str, scenario: str) -> bool:
        """Whether that daemon may try that scenario again."""
        return self.concerns(engine) and scenario in self.scenarios

    def concerns(self, engine: str) -> bool:
        """Whether this entry is about that engine."""
        return fnmatch.fnmatchcase(engine, self.engine)


@dataclass(frozen=True, slots=True)
class Departure:
    """One allowed difference. A line that ``replace`` makes empty is left out on both sides."""

    name: str
    kind: str
    engine: str  #: a glob over engine names
    section: str  #: a glob over section names
    pattern: re.Pattern[str]
    replace: str
    why: str

    def applies(self, engine: str, section: str) -> bool:
        """Whether this entry is about that section of that engine."""
        return fnmatch.fnmatchcase(engine, self.engine) and fnmatch.fnmatchcase(section, self.section)

    def concerns(self, engine: str) -> bool:
        """Whether this entry is about that engine."""
        return fnmatch.fnmatchcase(engine, self.engine)

    def apply(self, lines: Sequence[str]) -> list[str]:
        """The lines with the difference taken out."""
        return [out for line in lines if (out := self.pattern.sub(self.replace, line)) or not line]


@dataclass(frozen=True, slots=True)
class Difference:
    """A section that is not equal; ``diff`` is unified: the daemon's lines with ``-``, netlab's ``+``."""

    section: str
    diff: str


def departures(path: Path = DEPARTURES) -> tuple[Departure, ...]:
    """The allowed departures; ValueError for one of a kind that is not allowed."""
    found = []
    for name, entry in tomllib.loads(path.read_text()).items():
        if entry["kind"] == CHANCE:
            continue
        if entry["kind"] not in KINDS:
            raise ValueError(
                f"{path}: [{name}]: {entry['kind']} is not a kind that may depart: {', '.join(KINDS)}"
            )
        pattern = re.compile(entry["pattern"])
        found.append(
            Departure(
                name,
                entry["kind"],
                entry.get("engine", "*"),
                entry["section"],
                pattern,
                entry.get("replace", ""),
                entry["why"],
            )
        )
    return tuple(found)


def chances(path: Path = DEPARTURES) -> tuple[Chance, ...]:
    """What daemons leave to chance."""
    return tuple(
        Chance(name, entry.get("engine", "*"), tuple(entry["scenarios"]), entry["tries"], entry["why"])
        for name, entry in tomllib.loads(path.read_text()).items()
        if entry["kind"] == CHANCE
    )


def _reduced(lines: Sequence[str], entries: Iterable[Departure]) -> list[str]:
    out = list(lines)
    for entry in entries:
        out = entry.apply(out)
    return out


def compare(
    engine: str, real: Facts, ours: Facts, allowed: Sequence[Departure]
) -> tuple[list[Difference], set[str]]:
    """What differs, and the names of the departures without which more would."""
    differences, used = [], set()
    for section in sorted(real.keys() | ours.keys()):
        left, right = real.get(section, []), ours.get(section, [])
        if left == right:
            continue
        entries = [d for d in allowed if d.applies(engine, section)]
        if _reduced(left, entries) != _reduced(right, entries):
            differences.append(Difference(section, diff(_reduced(left, entries), _reduced(right, entries))))
            continue
        for entry in entries:
            others = [d for d in entries if d is not entry]
            if _reduced(left, others) != _reduced(right, others):
                used.add(entry.name)
    return differences, used


def diff(real: Sequence[str], ours: Sequence[str]) -> str:
    """Two sections as a unified diff without its head."""
    return "\n".join(list(difflib.unified_diff(real, ours, lineterm="", n=1))[2:])


def listed(differences: Sequence[Difference]) -> str:
    """All differences for a reader."""
    return "\n".join(f"## {d.section}   (- the daemon's, + netlab's)\n{d.diff}" for d in differences)


def only(facts: Facts, sections: Mapping[str, object] | Iterable[str]) -> Facts:
    """The facts of these sections."""
    wanted = set(sections)
    return {section: lines for section, lines in facts.items() if section in wanted}
