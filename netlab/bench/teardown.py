"""Teardown, until nothing is left: closing a lab beside ``ip -batch`` with ``netns del``.

Both are measured until the kernel has removed the last link; see :mod:`netlab.bench.drain`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from netlab.bench.bringup import batch, in_own_namespaces, plan_of
from netlab.bench.drain import Witness, settle
from netlab.bench.frame import Effort, Result, at_most, interleaved
from netlab.kernel import process
from netlab.lab.build.apply import apply
from netlab.model.errors import LabError

#: Closing descriptors leaves the kernel's own work only, which the yardstick has too.
RATIO = 1.3


def run(effort: Effort) -> Iterator[Result]:
    """Yield a line for each size."""
    for size in (10, 100) if effort.quick else (10, 100, 1000):
        some = effort if size <= 100 else effort.fewer(3)
        samples = interleaved(some, partial(ours, size), partial(yardstick, size))
        yield samples.result(f"teardown, {size} containers", "ip -batch, netns del", at_most(RATIO))


def ours(size: int) -> float:
    """Seconds from letting go of a lab until the kernel has nothing of it."""
    lab = apply(plan_of(size))
    settle()
    witness = Witness()
    start = time.perf_counter()
    lab.close()
    witness.wait()
    return time.perf_counter() - start


def yardstick(size: int) -> float:
    """Seconds that ``netns del`` of every namespace takes, and the end of the one that they are linked to."""

    def work() -> float:
        _ip(batch(size))
        settle()
        start = time.perf_counter()
        _ip("".join(f"netns del {name}\n" for name in ("ext", "client", *(f"c{n}" for n in range(size)))))
        return start

    witness = Witness()
    start = in_own_namespaces(work)  # of a clock that all processes share
    witness.wait()
    return time.perf_counter() - start


def _ip(text: str) -> None:
    done = process.run(["ip", "-batch", "-"], text.encode())
    if done.code:
        raise LabError(f"ip -batch: {done.errors}")
