"""What the tests of the kernel room share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from netlab.kernel import netns, process
from netlab.lab.build.apply import Applied, apply
from netlab.model.plan import Plan

Inside = Callable[..., str]


@pytest.fixture
def namespace() -> Iterator[int]:
    """An empty network namespace."""
    fd = netns.create()
    yield fd
    os.close(fd)


@pytest.fixture
def applied() -> Iterator[Callable[[Plan], Applied]]:
    """Applies plans, and lets go of them after the test."""
    standing: list[Applied] = []

    def build(plan: Plan) -> Applied:
        standing.append(apply(plan))
        return standing[-1]

    yield build
    for one in standing:
        one.close()


@pytest.fixture
def inside() -> Inside:
    """Runs a tool in a namespace; what it printed."""

    def run(fd: int, *argv: str) -> str:
        with netns.entered(fd):
            done = process.run(argv)
        assert done.code == 0, done.errors
        return done.output

    return run
