"""Sweeps on a cluster of several worker processes, each in a user namespace of its own.

::

    netlab verify … --on dask://127.0.0.1:PORT ── scheduler ─┬─ worker ── a process for each item ── its lab
                                                              ├─ worker
                                                              └─ worker
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support import sleeping
from support.labs import ROOT, SEED, Netlab
from support.witness import until

from netlab.lab.sweep.cluster import Cluster
from netlab.lab.sweep.sweep import Item, sweep

pytest.importorskip("distributed", reason="dask.distributed is not installed (pip install 'netlab[dask]')")

DASK = [sys.executable, "-m", "dask"]
ON_LOOPBACK = ["--host", "127.0.0.1", "--no-dashboard"]
#: Becomes a worker whose user namespace may have no network namespace.
FORBIDDEN = """
import os, sys
open("/proc/sys/user/max_net_namespaces", "w").write("0")
os.execv(sys.argv[1], sys.argv[1:])
"""

#: What all packets do: one port is open, the other is not.
EXPOSURES = """
services: {web: {image: nginx, ports: ["80:80"]}}
x-netlab:
  host: {engine: docker-28, addresses: [198.51.100.1/24]}
  outside: {client: {addresses: [198.51.100.2/24]}}
  expect:
    - exposure: {from: web, reaches: ["host:80/tcp"]}
    - exposure: {from: client, reaches: ["198.51.100.1:81/tcp"]}
"""
ENGINES = ("docker-20.10", "docker-27", "docker-28", "docker-29-nftables")
#: Ephemeral ports, the only thing in which two reports of the same scenario differ.
VARYING = re.compile(r"\b[0-9]{4,5}\b")


class Machines:
    """A scheduler, and workers that are started one by one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.env = {
            **os.environ,
            "NETLAB_STATE": str(folder / "labs"),
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        }
        self._log = (folder / "log").open("wb")
        self._scheduler = self._start(
            [*DASK, "scheduler", *ON_LOOPBACK, "--port", "0", "--scheduler-file", str(self._file)]
        )
        until(lambda: self._file.exists() and self._file.read_text().endswith("}"), "a scheduler answers")
        self.tcp = json.loads(self._file.read_text())["address"]
        self.address = self.tcp.replace("tcp://", "dask://")

    def _start(self, argv: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(argv, env=self.env, cwd="/", stdout=self._log, stderr=self._log)

    def add(self, *before: str) -> subprocess.Popen[bytes]:
        """Start a worker with one thread; ``before`` runs it."""
        place = self._folder / f"worker{len(self.workers)}"
        worker = [*DASK, "worker", self.tcp, *ON_LOOPBACK, "--no-nanny", "--nthreads", "1"]
        self.workers.append(
            self._start(["unshare", "-Ur", *before, *worker, "--local-directory", str(place)])
        )
        return self.workers[-1]

    def registered(self) -> None:
        """Wait until all workers are known."""
        text = "Registered to:"
        log = self._folder / "log"
        until(lambda: log.read_text().count(text) >= len(self.workers), "all workers have registered")

    def openers(self) -> list[int]:
        """The processes that open parcels at the moment."""
        found = []
        for worker in self.workers:
            with contextlib.suppress(FileNotFoundError):
                for task in Path(f"/proc/{worker.pid}/task").iterdir():
                    found += map(int, (task / "children").read_text().split())
        return found

    def close(self) -> None:
        """End everything."""
        for process in (*self.workers, self._scheduler):
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """A scheduler without workers."""
    made = Machines(tmp_path)
    yield made
    made.close()


@pytest.fixture
def copies(tmp_path: Path) -> list[Path]:
    """The seed under six names."""
    found = [tmp_path / f"one{number}.yaml" for number in range(6)]
    for file in found:
        file.write_text(SEED.read_text())
    return found


def test_three_workers_verify_as_this_process_does(
    machines: Machines, netlab: Netlab, copies: list[Path], tmp_path: Path
) -> None:
    for _ in range(3):
        machines.add()
    machines.registered()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(SEED.read_text().replace("path: forward", "path: proxy"))
    files, junit = [copies[0], wrong, copies[1]], tmp_path / "junit.xml"
    there = netlab("verify", *files, "--on", machines.address, "--json", "--junit", junit, code=1)
    here = netlab("verify", *files, "--json", code=1)

    def verdicts(text: str) -> list[Any]:
        keys = ("position", "flow", "family", "exposure", "verdict", "expected", "problems", "packets")
        return [
            (one["files"], [[verdict.get(key) for key in keys] for verdict in one["verdicts"]])
            for one in json.loads(text)["scenarios"]
        ]

    assert verdicts(there.stdout) == verdicts(here.stdout)
    assert there.stderr == ""
    suites = list(ElementTree.parse(junit).getroot())
    assert [suite.get("failures") for suite in suites] == ["0", "2", "0"]
    sides = ("--engine", "docker-20.10", "--engine", "docker-28")
    flows = ("--from", "client", "--published")
    on = ("--on", machines.address)
    assert netlab("matrix", SEED, *sides, *flows, *on).stdout == netlab("matrix", SEED, *sides, *flows).stdout
    assert netlab("diff", SEED, *sides, *on).stdout == netlab("diff", SEED, *sides).stdout
    closed = tmp_path / "closed.yaml"
    closed.write_text(EXPOSURES)  # predicted: packets that get lost are waited for
    predict = ("verify", closed, "--predict", "--json")
    assert verdicts(netlab(*predict, *on, code=1).stdout) == verdicts(netlab(*predict, code=1).stdout)
    for words in (("--to", "198.51.100.1"), ("--to", "httpd", *sides)):
        asked = ("exposure", SEED, "-4", "--from", "client", *words, "--json")
        exposed = netlab(*asked, *on)
        assert exposed.stdout == netlab(*asked).stdout
        assert exposed.stderr == ""


def test_a_worker_dies_in_the_middle_and_every_item_counts_once(
    machines: Machines, netlab: Netlab, copies: list[Path]
) -> None:
    victim, _ = machines.add(), machines.add()
    machines.registered()
    process = netlab.start("verify", *copies, "--on", machines.address, "--json-lines")
    assert process.stdout is not None
    lines = [process.stdout.readline()]  # at least four items are not done yet
    until(lambda: bool(Path(f"/proc/{victim.pid}/task/{victim.pid}/children").exists()), "it works")
    victim.kill()
    out, err = process.communicate(timeout=200)
    lines += out.splitlines()
    assert (process.returncode, err) == (0, "")
    *found, last = map(json.loads, lines)
    assert last["exit_code"] == 0
    assert [one["files"] for one in found] == [[str(file)] for file in copies]
    assert [len(one["verdicts"]) for one in found] == [4] * 6


def test_a_worker_dies_and_the_report_has_every_column_once(
    machines: Machines, netlab: Netlab, tmp_path: Path
) -> None:
    victim, _ = machines.add(), machines.add()
    machines.registered()
    page = tmp_path / "page.html"
    words = ("report", SEED, "--from", "client", "--published", "-o", page)
    engines = [word for name in ENGINES for word in ("--engine", name)]
    process = netlab.start(*words, *engines, "--on", machines.address)
    until(lambda: bool(list(tmp_path.glob("labs/httpd*"))), "a worker builds a lab")
    victim.kill()
    out, err = process.communicate(timeout=200)
    assert (process.returncode, out) == (0, "")
    there = page.read_text()
    assert err == netlab(*words, *engines).stderr
    assert re.sub(VARYING, "", there) == re.sub(VARYING, "", page.read_text())


def test_a_worker_that_may_not_build_labs_is_not_used(
    machines: Machines, netlab: Netlab, copies: list[Path]
) -> None:
    machines.add()
    machines.add(sys.executable, "-c", FORBIDDEN)
    machines.registered()
    done = netlab("verify", *copies[:3], "--on", machines.address)
    (line,) = done.stderr.splitlines()
    assert " is not used: " in line
    assert "namespace" in line
    assert "3 scenarios: 12 passed" in done.stdout


def test_no_worker_that_could_do_it(machines: Machines, netlab: Netlab) -> None:
    none = netlab("verify", SEED, "--on", machines.address, code=4)
    assert "has no workers" in none.stderr
    machines.add(sys.executable, "-c", FORBIDDEN)
    machines.registered()
    one = netlab("verify", SEED, "--on", machines.address, code=4)
    assert "can do this" in one.stderr
    predicted = netlab("verify", SEED, "--predict", "--on", machines.address)
    assert "4 passed" in predicted.stdout


def test_ctrl_c_ends_the_labs_of_all_workers(
    machines: Machines, netlab: Netlab, copies: list[Path], tmp_path: Path
) -> None:
    for _ in range(2):
        machines.add()
    machines.registered()
    process = netlab.start("verify", *copies, *copies, "--on", machines.address)
    labs = tmp_path / "labs"
    until(lambda: len(list(labs.glob("one*/lab.json"))) > 0, "a lab stands")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out, err) == (130, "", "")
    until(lambda: machines.openers() == [], "no process opens a parcel any more")
    supervisors = [json.loads(file.read_text())["pid"] for file in labs.glob("*/lab.json")]
    until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in supervisors), "no lab is left")


class Sleepers(Cluster):
    """A cluster whose items only wait: what the sweep itself costs."""

    def submit(self, item: Item[Any]) -> Future[Any]:
        sent: Future[Any] = self._executor.submit(sleeping.wait, int(item.label), 0.5)
        return sent


def nothing() -> Any:
    raise AssertionError("not here")


def test_four_workers_wait_four_times_as_fast(
    machines: Machines, netlab: Netlab, record_property: Callable[[str, object], None]
) -> None:
    def taken(workers: int) -> float:
        while len(machines.workers) < workers:
            machines.add()
        machines.registered()
        engine = Sleepers(machines.address, print, labs=False)
        items = [Item(str(n), nothing, lambda: "", int) for n in range(16)]
        start = time.monotonic()
        assert sorted(result for _, result in sweep(items, engine)) == list(range(16))
        return time.monotonic() - start

    factor = taken(1) / taken(4)
    record_property("factor", round(factor, 2))
    assert factor >= 3


@pytest.mark.parametrize(
    ("on", "code", "words"),
    [
        ("dask://127.0.0.1:1", 4, "no scheduler of dask answers at dask://127.0.0.1:1"),
        ("http://127.0.0.1:80", 2, "is not dask://HOST:PORT"),
    ],
)
def test_where_nobody_is(netlab: Netlab, on: str, code: int, words: str) -> None:
    done = netlab("verify", SEED, "--on", on, code=code)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
