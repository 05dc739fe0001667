"""Which configurations are compared with which daemon.

``scenarios/all`` is for every daemon, ``scenarios/from-28`` for that generation and later ones; so it is in
``stories``. The measured configurations of ``tests/data/captures/scenarios`` are for those that their names
say.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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
        if _is_for(folder.name, engine):
            found += [Case(p.stem, p, claim(p)) for p in sorted(folder.glob("*.yaml"))]
    return tuple(found) + captured(engine, "rules")


@cache
def stories(engine: str) -> tuple[Case, ...]:
    """All stories of what others do to a host between events."""
    folders = [folder for folder in sorted((HERE / "stories").iterdir()) if _is_for(folder.name, engine)]
    return tuple(Case(p.stem, p, claim(p)) for folder in folders for p in sorted(folder.glob("*.yaml")))


@cache
def captured(engine: str, kind: str) -> tuple[Case, ...]:
    """The measured configurations, ``rules`` or ``flows``, in the form that is for this engine."""
    found: dict[str, Path] = {}
    for path in sorted(CAPTURES.glob(f"c*.{kind}.yaml")):  # those of Podman are p…
        name, *variant = path.name.removesuffix(f".{kind}.yaml").split(".")
        if (variant == ["1903"] and engine == "docker-19.03") or (variant == ["old"] and engine in OLD):
            found[name] = path
        elif not variant:
            found.setdefault(name, path)
    return tuple(
        Case(f"{name}-{kind}", path, f"Configuration {name} of the captures.") for name, path in found.items()
    )


#: What a plain run compares with a real Podman; ``--conformance-all`` compares everything.
PODMAN_SELECTION = ("p02-rules", "p04-rules", "p18-rules", "p20-rules", "event-life", "names", "ports")


@cache
def podman_cases(whole: bool) -> tuple[Case, ...]:
    """The configurations that are compared with a real Podman: the recorded ones, and those made for it."""
    recorded = sorted(CAPTURES.glob("p*.rules.yaml"))
    found = [Case(path.name.removesuffix(".yaml").replace(".", "-"), path, claim(path)) for path in recorded]
    found += [Case(path.stem, path, claim(path)) for path in sorted((HERE / "podman").glob("*.yaml"))]
    return tuple(case for case in found if whole or case.name in PODMAN_SELECTION)


@cache
def selected(engine: str) -> frozenset[str]:
    """The names in ``selection.toml`` that are for this engine."""
    return _listed(_selection(), engine)


@cache
def _selection() -> dict[str, Any]:
    return tomllib.loads((HERE / "selection.toml").read_text())


def _listed(groups: dict[str, Any], engine: str) -> frozenset[str]:
    lists = {group: names for group, names in groups.items() if isinstance(names, list)}
    return frozenset(name for group, names in lists.items() if _is_for(group, engine) for name in names)


@cache
def with_flows(engine: str) -> tuple[Case, ...]:
    """All configurations whose flows are compared."""
    wanted = _listed(_selection()["flows"], engine)
    chosen = [case for case in configurations(engine) if case.name in wanted]
    also = tuple(Case(f"{case.name}-flows", case.path, case.claim) for case in chosen)
    return captured(engine, "flows") + also


def _is_for(group: str, engine: str) -> bool:
    """Whether a folder of scenarios, or a list of them, concerns an engine: all do, or from a number on."""
    return group in ("all", "every") or number(engine) >= number(group.replace("from", "docker"))


def cases(test: str, engine: str, whole: bool = True) -> tuple[Case, ...]:
    """What the test function of that name is run with: everything, or the selection."""
    flows = with_flows(engine)
    if test == "test_witness":
        return tuple(case for case in flows if case.name == "c02-flows") if whole else ()
    if test == "test_story":
        return stories(engine) if whole else ()
    found = flows if test == "test_flows" else configurations(engine)
    return found if whole else tuple(case for case in found if case.name in selected(engine))
