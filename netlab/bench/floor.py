"""The floor: bring-up and teardown beside a C program that makes the kernel calls of a lab, and no others.

What the C program takes is the kernel's own time, so a ratio near 1 says that nothing is left to gain in
Python. Ours has the published ports' rules besides. The compiler is asked for when the benchmark runs.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from netlab.bench import bringup, teardown
from netlab.bench.drain import Witness, settle
from netlab.bench.frame import Effort, NoYardstick, Result, at_most, interleaved
from netlab.kernel.machine import find_tool
from netlab.model.errors import LabError

SOURCE = Path(__file__).with_name("floor.c")
#: What ours may take of the same calls in C.
UP, DOWN = 1.3, 1.3


def run(effort: Effort) -> Iterator[Result]:
    """Two lines for each size."""
    with TemporaryDirectory(prefix="netlab-bench-") as folder:
        program = compiled(folder)
        for size in (10, 100) if effort.quick else (10, 100, 1000):
            some = effort if size <= 100 else effort.fewer(3)
            ups = interleaved(some, partial(bringup.ours, size), lambda size=size: both(program, size)[0])  # type: ignore[misc]
            yield ups.result(f"bring-up, {size} containers", "the same calls in C", at_most(UP))
            downs = interleaved(some, partial(teardown.ours, size), lambda size=size: both(program, size)[1])  # type: ignore[misc]
            yield downs.result(f"teardown, {size} containers", "the same calls in C", at_most(DOWN))


def compiled(folder: str) -> str:
    """The path of the program; raises NoYardstick without a compiler and the kernel's headers."""
    compiler = find_tool("cc")
    if compiler is None:
        raise NoYardstick("there is no C compiler: run ./install --bench")
    program = f"{folder}/floor"
    done = subprocess.run(
        [compiler, "-O2", "-o", program, str(SOURCE)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoYardstick(
            f"cc cannot compile {SOURCE.name} (./install --bench): {done.stderr.strip()[-300:]}"
        )
    return program


def both(program: str, size: int) -> tuple[float, float]:
    """Seconds of the C program's bring-up, and from its end until the kernel has nothing of it."""
    with subprocess.Popen(
        [program, str(size)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        said = process.stdout.readline()
        if not said:
            raise LabError(f"the C program failed: {process.stderr.read().strip()}")
        settle()
        witness = Witness()
        start = perf_counter()
        process.stdin.close()
        process.wait(60)
    witness.wait()
    down = perf_counter() - start
    settle()
    return float(said), down
