"""What dockerd does differently from version to version, as data: since when, and how we know."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Generic, Protocol, TypeVar, overload

from netlab.model.version import STILL, Span, Version

T = TypeVar("T")

#: The first version that netlab knows of.
OLDEST = "19.03"


class Versioned(Protocol):
    """What has habits: the version that they are of."""

    version: Version


class Behaviour(Generic[T]):
    """A behaviour of dockerd; as an attribute of :class:`~netlab.engine.docker.traits.Traits`, it is that
    version's value.

    ``steps`` are the values, each after the first version that has it; ``source`` says how we know: measured
    daemons, a pull request, release notes.
    """

    def __init__(self, source: str, steps: tuple[tuple[Version, T], ...]) -> None:
        self.source = source
        self.steps = steps
        self.name = ""

    def __set_name__(self, owner: type[Versioned], name: str) -> None:
        self.name = name

    def at(self, version: Version) -> T:
        """The value of one version."""
        return next(value for first, value in reversed(self.steps) if version >= first)

    @overload
    def __get__(self, traits: None, owner: type[Versioned]) -> Behaviour[T]: ...

    @overload
    def __get__(self, traits: Versioned, owner: type[Versioned]) -> T: ...

    def __get__(self, traits: Versioned | None, owner: type[Versioned]) -> Behaviour[T] | T:
        if traits is None:
            return self
        value = self.at(traits.version)
        vars(traits)[self.name] = value  # looked up once: the next time it is found there
        return value


def changes(source: str, steps: Mapping[str, T]) -> Behaviour[T]:
    """A behaviour with several values, each with the first version that has it; the first is
    :data:`OLDEST`'s.

    Raises ValueError for steps that are not in order.
    """
    parsed = tuple((Version.parse(first), value) for first, value in steps.items())
    if parsed[0][0] != Version.parse(OLDEST) or any(one >= two for (one, _), (two, _) in pairwise(parsed)):
        raise ValueError(f"versions must rise from {OLDEST}: {', '.join(steps)}")
    return Behaviour(source, parsed)


def during(first: str, last: str, source: str) -> Behaviour[bool]:
    """A habit of the versions from the first to the last, and of no other."""
    span = Span(first, last)
    edges = {Version.parse(OLDEST): False, Version.parse(first): True}
    if last != STILL:
        edges[_behind(span)] = False
    return Behaviour(source, tuple(edges.items()))


def _behind(span: Span) -> Version:
    """The version right after the last one; if ``last`` is a whole release, the first of the next release."""
    parts = [int(part) for part in span.last.split(".")]
    parts[-1] += 1
    return Version(*parts)
