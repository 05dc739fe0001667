"""Engines by name: Docker's versions, Podman's, and those that a program or an installed package adds."""

from __future__ import annotations

from typing import Any

from netlab.engine.contract import Engine
from netlab.engine.docker.generations import engine as docker
from netlab.engine.docker.rootless import RootlessDocker
from netlab.engine.podman.generations import engine as podman
from netlab.engine.podman.rootless_bridges import RootlessPodman
from netlab.engine.several import SeveralEngines
from netlab.model import engine_names
from netlab.model.errors import UsageError
from netlab.model.version import engine_version


def get(name: str) -> Engine[Any]:
    """The engine of a name: ``docker-28.1.1``, ``docker`` or ``podman`` (the newest), or a registered one.

    Raises :class:`UsageError`, with a suggestion, if there is no engine of that name.
    """
    try:
        engine_names.check_engine(name)
    except ValueError as error:
        raise UsageError(f"there is no engine {name}{error}") from None
    if engine_names.is_podman(name):
        return podman(engine_names.NEWEST_PODMAN if name == "podman" else name)
    if not engine_names.is_docker(name):
        return engine_names.registered.get(name) or _packaged(name)
    return docker(engine_version(name))


def together(one: Engine[Any], other: Engine[Any]) -> Engine[Any]:
    """Two engines on one host as one; only the first has a daemon."""
    return SeveralEngines((one, other))


def rootless(engine: Engine[Any]) -> Engine[Any]:
    """The engine as an ordinary user runs it."""
    return RootlessPodman(engine) if engine_names.is_podman(engine.name) else RootlessDocker(engine)


def register(engine: Engine[Any]) -> None:
    """Register an engine, which scenarios and ``--engine`` can name until this program ends.

    It replaces an earlier engine of the same name. An installed package names its engine as an entry point of
    the group ``netlab.engines`` instead, so that the command line knows it, too.

    Raises :class:`UsageError` for an invalid name, or one that could be a version of Docker or Podman.
    """
    if not engine_names.NAME.fullmatch(engine.name):
        raise UsageError(
            f"an engine cannot be named {engine.name!r}: a name has small letters, digits, '.', '_' and '-'; "
            "those that begin with docker or podman are netlab's own"
        )
    engine_names.registered[engine.name] = engine


def _packaged(name: str) -> Engine[Any]:
    """Import the engine of an entry point."""
    point = engine_names.packaged()[name]
    where = f"engine {name}: entry point {point.value}"
    try:
        found: Engine[Any] = point.load()
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{where} cannot be imported: {error}") from error
    if found.name != name:
        raise UsageError(f"{where} is an engine of another name, {found.name!r}")
    return found
