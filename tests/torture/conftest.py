"""What breaks netlab must leave nothing behind: a taste by default, the counts of the goals with ``--full``.

::

    nox -s torture               some three minutes
    nox -s torture -- --full     the figures of docs/torture.md, more than an hour

Every test prints what it did; the figures stand together at the end.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.labs import anyones, before_all, make_netlab, netlab, untouched
from support.proxy_field import field
from support.witness import witness

__all__ = ["anyones", "before_all", "field", "make_netlab", "netlab", "untouched", "witness"]


#: What runs in the background is born deaf to these, and so would be all that it starts.
for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, action)

_FIGURES: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the counts of the goals, not a taste of them")
    parser.addoption("--rounds", type=int, default=None, help="so many of everything that is counted")
    parser.addoption("--torture-seed", type=int, default=None, help="the same random instants again")


@dataclass(frozen=True)
class Scale:
    """How much of everything: ``scale(few, many)``."""

    full: bool
    seed: int
    rounds: int | None = None

    def __call__(self, few: int, many: int) -> int:
        return self.rounds or (many if self.full else few)


@pytest.fixture(scope="session")
def scale(request: pytest.FixtureRequest) -> Scale:
    seed = request.config.getoption("--torture-seed")
    full = bool(request.config.getoption("--full"))
    rounds = request.config.getoption("--rounds")
    return Scale(full, time.time_ns() % 10**6 if seed is None else seed, rounds)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Say what was done, at once and once more at the end."""

    def tell(text: str) -> None:
        _FIGURES.append(f"{request.node.name}: {text}")
        print(_FIGURES[-1], file=sys.__stderr__, flush=True)

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES:
        terminalreporter.section(f"figures, {os.cpu_count()} processors")
        for line in _FIGURES:
            terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These take as long as they take; each wait in them is bounded."""
    for item in items:
        if Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(6 * 3600))
