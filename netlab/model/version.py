"""Versions of Docker, and the engine names for them.

An engine is named after a generation (``docker-28``: its newest recorded version) or a version
(``docker-28.1.1``); the suffix ``-nftables`` means the nftables backend.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from netlab.model.near import nearest

#: In the place of a last version: the newest one that is known still has it.
STILL = ""

_NAME = re.compile(r"docker-(\d{1,2})\.(\d{1,2})\.(\d{1,2})(-nftables)?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version of dockerd."""

    major: int
    minor: int = 0
    patch: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        """``28.1.1``, or the first of a release (``28.1``, ``28``); raises ValueError."""
        return cls(*(int(part) for part in text.split(".")))

    def __str__(self) -> str:
        minor = f"{self.minor:02}" if self.major < 20 else str(self.minor)
        return f"{self.major}.{minor}.{self.patch}"


@dataclass(frozen=True, slots=True)
class Span:
    """The versions that have something, from the first to the last of them.

    ``first`` and ``last`` are versions or whole releases: ``27`` as the last means the last 27.x.y.
    :data:`STILL` as the last means that there is no end yet.
    """

    first: str
    last: str

    def __post_init__(self) -> None:
        first = Version.parse(self.first)
        if self.last != STILL and not self._up_to_last(first):
            raise ValueError(f"{self.first} comes after {self.last}")

    def __contains__(self, version: Version | None) -> bool:
        return (
            version is not None
            and version >= Version.parse(self.first)
            and (self.last == STILL or self._up_to_last(version))
        )

    def _up_to_last(self, version: Version) -> bool:
        last = tuple(int(part) for part in self.last.split("."))
        return (version.major, version.minor, version.patch)[: len(last)] <= last

    def __str__(self) -> str:
        """What to tell the user about an option that the engine does not have."""
        if self.last == STILL:
            return f"Docker {self.first} and later"
        return f"Docker {self.first} to {self.last}" if self.last != self.first else f"Docker {self.first}"


@dataclass(frozen=True, slots=True)
class Generation:
    """Versions that form one engine, except for changes between patch versions.

    ``first`` is the first version, ``newest`` the newest recorded one, which the name means; ``measured`` are
    the versions that were run and whose captures are equal.
    """

    name: str
    first: Version
    newest: Version
    measured: tuple[Version, ...]


def _generation(name: str, first: str, newest: str, *measured: str) -> Generation:
    versions = [Version.parse(text) for text in (first, newest, *(measured or (newest,)))]
    return Generation(f"docker-{name}", versions[0], versions[1], tuple(versions[2:]))


#: Oldest first. Sources of the versions: captures of each daemon (tests/data/captures).
GENERATIONS = (
    _generation("19.03", "19.03.0", "19.03.15"),
    _generation("20.10", "20.10.0", "20.10.24"),
    _generation("23", "23.0.0", "23.0.18"),
    _generation("24", "24.0.0", "24.0.9"),
    _generation("25", "25.0.0", "25.0.6"),
    _generation("26", "26.0.0", "26.1.5"),
    _generation("27", "27.0.0", "27.5.1"),
    _generation("28.0", "28.0.0", "28.0.4", "28.0.0", "28.0.1", "28.1.1"),
    _generation("28", "28.2.0", "28.5.2"),
    _generation("29", "29.0.0", "29.7.2", "29.0.0", "29.7.2"),
)
#: The releases that there were: no other (major, minor) is a version of Docker.
RELEASES = frozenset(
    {(19, 3), (20, 10), (23, 0), (24, 0), (25, 0), (26, 0), (26, 1)}
    | {(27, minor) for minor in range(6)}
    | {(28, minor) for minor in range(6)}
    | {(29, minor) for minor in range(8)}
)
NFTABLES = "-nftables"
#: The nftables backend exists (``firewall-backend``, moby#50646).
NFTABLES_SPAN = Span("29", STILL)
#: The named engines, oldest first.
ENGINES = (*(generation.name for generation in GENERATIONS), f"docker-29{NFTABLES}")
#: What plain ``docker`` is: the newest with iptables.
NEWEST = "docker-29"


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """What an engine's name means; ``name`` as it was given, but for plain ``docker``."""

    name: str
    generation: Generation
    version: Version
    nftables: bool

    @property
    def unmeasured(self) -> str:
        """What to tell the user about a version that was never compared with netlab; empty for any other."""
        measured = self.generation.measured
        if self.version in measured or self.name in ENGINES:
            return ""
        near = [max((v for v in measured if v < self.version), default=None)]
        near.append(min((v for v in measured if v > self.version), default=None))
        found = " and ".join(str(version) for version in near if version is not None)
        return (
            f"Docker {self.version} itself was not measured: it has what changed up to then by Docker's "
            f"release notes and source, and is otherwise as {found}"
        )


def _release(major: int, minor: int) -> str:
    return f"{major}.{minor:02}" if major < 20 else f"{major}.{minor}"


_VERSIONS = "|".join(_release(*release).replace(".", r"\.") for release in sorted(RELEASES))
#: The pattern of engine names, for the JSON schema; :func:`engine_version` decides.
ENGINE_PATTERN = (
    rf"\Adocker(-({'|'.join(name.removeprefix('docker-').replace('.', chr(92) + '.') for name in ENGINES)}"
    rf"|({_VERSIONS})\.[0-9]{{1,2}}(-nftables)?))?\Z"
)


@cache
def engine_version(name: str) -> EngineVersion:
    """The version that an engine's name means.

    Raises ValueError; its text continues after the name, with a suggestion: ``(did you mean "docker-28"?)``.
    """
    wanted = NEWEST if name == "docker" else name
    nftables = wanted.endswith(NFTABLES)
    for generation in GENERATIONS:
        if generation.name == wanted.removesuffix(NFTABLES):
            return _checked(EngineVersion(wanted, generation, generation.newest, nftables))
    match = _NAME.fullmatch(wanted)
    if match is None:
        raise ValueError(_suggestion(name))
    version = Version(*(int(part) for part in match.groups()[:3]))
    if (version.major, version.minor) not in RELEASES:
        raise ValueError(
            f": netlab knows Docker {', '.join(_release(*release) for release in sorted(RELEASES))}"
        )
    found = [generation for generation in GENERATIONS if version >= generation.first]
    return _checked(EngineVersion(wanted, found[-1], version, nftables))


def _checked(found: EngineVersion) -> EngineVersion:
    if found.nftables and found.version not in NFTABLES_SPAN:
        raise ValueError(f": the nftables backend is one of {NFTABLES_SPAN}")
    return found


def _suggestion(name: str) -> str:
    near = nearest(name, ("docker", *ENGINES))
    known = f": it is docker, {', '.join(ENGINES)}, or a version such as docker-28.1.1"
    return f' (did you mean "{near}"?)' if near else known
