"""Which configurations are compared with which daemon.

``scenarios/all`` is for every daemon, ``scenarios/from-28`` for that generation and later ones, and the
measured configurations of ``tests/data/captures/scenarios`` for those that their names are for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parents[1]
CAPTURES = HERE.parent / "data" / "captures" / "scenarios"
#: The captures' file of one configuration differs where a daemon must be asked for IPv6 rules, or cannot be.
OLD = ("docker-20.10", "docker-24", "docker-26")


@dataclass(frozen=True, slots=True)
class Case:
    """One configuration: a scenario file, and the claim that its first comment makes."""

    name: str
    path: Path
    claim: str


def number(engine: str) -> float:
    """``docker-20.10`` -> 20.1: generations in order."""
    found = re.match(r"docker-(\d+)(?:\.(\d+))?", engine)
    assert found, engine
    return int(found[1]) + int(found[2] or 0) / 100


def claim(path: Path) -> str:
    """The comment at the top of a file, as one line."""
    lines = []
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.lstrip("# "))
    return " ".join(lines)


@cache
def configurations(engine: str) -> tuple[Case, ...]:
    """All configurations whose rules, listeners, settings, links and routes are compared."""
    found = []
    for folder in sorted((HERE / "scenarios").iterdir()):
        if folder.name == "all" or number(engine) >= number(folder.name.replace("from", "docker")):
            found += [Case(p.stem, p, claim(p)) for p in sorted(folder.glob("*.yaml"))]
    return tuple(found) + captured(engine, "rules")


@cache
def captured(engine: str, kind: str) -> tuple[Case, ...]:
    """The measured configurations, ``rules`` or ``flows``, in the form that is for this engine."""
    found: dict[str, Path] = {}
    for path in sorted(CAPTURES.glob(f"*.{kind}.yaml")):
        name, *variant = path.name.removesuffix(f".{kind}.yaml").split(".")
        if (variant == ["1903"] and engine == "docker-19.03") or (variant == ["old"] and engine in OLD):
            found[name] = path
        elif not variant:
            found.setdefault(name, path)
    return tuple(
        Case(f"{name}-{kind}", path, f"Configuration {name} of the captures.") for name, path in found.items()
    )


def cases(test: str, engine: str) -> tuple[Case, ...]:
    """What the test function of that name is run with."""
    flows = captured(engine, "flows")
    if test == "test_witness":
        return tuple(case for case in flows if case.name == "c02-flows")
    return flows if test == "test_flows" else configurations(engine)
