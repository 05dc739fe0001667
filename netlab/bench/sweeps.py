"""Sweeps on a cluster: several workers beside one, with items that wait, and with items that compute."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import Any

from netlab.bench.frame import Effort, NoYardstick, Result, at_least, interleaved
from netlab.bench.matrix import SEED
from netlab.lab.load import load_scenario
from netlab.lab.sweep.cluster import Cluster
from netlab.lab.sweep.parcel import opened, pack
from netlab.lab.sweep.sweep import Item, sweep
from netlab.model.errors import LabError
from netlab.plan import make
from netlab.scenario import Sources
from netlab.scenario.files import recording

WAITING, COMPUTING = 3.6, 1.8
#: Items that wait, and for how long; items that compute.
WAITS, SECONDS, PREDICTIONS = 32, 0.5, 12
_PATIENCE = 60.0
_ON_LOOPBACK = ("--host", "127.0.0.1", "--no-dashboard")


class Sleepers(Cluster):
    """A cluster whose items wait instead of building labs."""

    def submit(self, item: Item[Any]) -> Future[Any]:
        """Send a wait."""
        sent: Future[Any] = self._executor.submit(wait, int(item.label))
        return sent


def wait(number: int) -> int:
    """What a worker does: wait, as a lab waits for packets; the number."""
    select.select([], [], [], SECONDS)
    return number


def run(effort: Effort) -> Iterator[Result]:
    """Two lines: four workers that wait, two that compute."""
    if find_spec("distributed") is None:
        raise NoYardstick("dask.distributed is not installed: pip install 'netlab[dask]'")
    some = effort.fewer(3)
    with ExitStack() as stack:
        one, two, four = (stack.enter_context(Workers(number)) for number in (1, 2, 4))
        samples = interleaved(some, partial(waited, four), partial(waited, one))
        yield samples.result("items that wait, four workers", "one worker", at_least(WAITING), unit="/s")
        samples = interleaved(some, partial(predicted, two), partial(predicted, one), warm=False)
        yield samples.result("predictions, two workers", "one worker", at_least(COMPUTING), unit="/s")


class Workers:
    """A scheduler with so many workers of one thread; ``address`` is for ``--on``."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._begun: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Workers:
        self._folder = TemporaryDirectory(prefix="netlab-bench-")
        file = Path(self._folder.name, "scheduler.json")
        try:
            self._start("scheduler", "--port", "0", "--scheduler-file", str(file))
            _until(lambda: file.exists() and file.read_text("utf-8").endswith("}"))
            tcp = json.loads(file.read_text("utf-8"))["address"]
            self.address = tcp.replace("tcp://", "dask://")
            for number in range(self._count):
                place = ("--local-directory", f"{self._folder.name}/{number}")
                self._start("worker", tcp, "--no-nanny", "--nthreads", "1", *place)
            log = Path(self._folder.name, "log")
            _until(lambda: log.read_text("utf-8").count("Registered to:") >= self._count)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self, *words: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(SEED.parents[1])}
        with Path(self._folder.name, "log").open("ab") as log:
            self._begun.append(
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *words, *_ON_LOOPBACK],
                    env=environment,
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def __exit__(self, *exception: object) -> None:
        for process in reversed(self._begun):
            process.kill()
            process.wait()
        self._folder.cleanup()


def _until(there: Any) -> None:
    end = monotonic() + _PATIENCE
    while not there():
        if monotonic() > end:
            raise LabError("a worker of dask did not start within a minute")
        select.select([], [], [], 0.05)


def _nothing() -> Any:
    raise LabError("an item was done here instead of on a worker")


def waited(workers: Workers) -> float:
    """Items per second that only wait."""
    items = [Item(str(number), _nothing, lambda: "", int) for number in range(WAITS)]
    return _rate(Sleepers(workers.address, print, labs=False), items)


def predicted(workers: Workers) -> float:
    """Scenarios per second whose expectations are predicted, each in a process of its own."""
    with recording() as read:
        plan = make(load_scenario([SEED]))
    text = pack("predict verify", [Sources([str(SEED)])], {}, read, plan)
    items = [Item(str(number), _nothing, lambda: text, opened) for number in range(PREDICTIONS)]
    return _rate(Cluster(workers.address, print, labs=False), items)


def _rate(engine: Cluster, items: list[Item[Any]]) -> float:
    start = perf_counter()
    found = sorted(number for number, _ in sweep(items, engine))
    taken = perf_counter() - start
    if found != list(range(len(items))):
        raise LabError(f"of {len(items)} items, these came back: {found}")
    return len(items) / taken
