"""Where in the scenario an error in a firewall's settings is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from netlab.model.errors import UsageError
from netlab.model.problem import Position, Problem, ScenarioError
from netlab.model.scenario import Firewall


def at(firewall: Firewall, path: str) -> AbstractContextManager[None]:
    """Turn a UsageError into a ScenarioError at the option of ``path`` (``rules.0``), if its place is known.

    The innermost place counts.
    """
    return _placed(firewall.positions.get(path))


def at_line(firewall: Firewall, key: str, line: int) -> AbstractContextManager[None]:
    """The same at a line of the file of ``key`` (``after_rules``)."""
    name = firewall.names.get(key)
    return _placed(None if name is None else Position(name, line, 1))


@contextmanager
def _placed(position: Position | None) -> Iterator[None]:
    try:
        yield
    except ScenarioError:
        raise
    except UsageError as error:
        if position is None:
            raise
        raise ScenarioError([Problem(position, str(error))]) from None
