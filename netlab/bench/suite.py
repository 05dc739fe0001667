"""Suites: tests per second with a lab for each, beside real Docker and Mininet, and the whole gallery.

One test asks whether a client reaches the server behind a published port. Ours builds the seed scenario,
traces a packet on its way, and takes the lab down; Docker's makes a network and a container in a daemon that
runs already, and connects; Mininet's has two hosts at a Linux bridge, and pings. Two workers do each, and the
others have fewer tests, since a rate does not need many.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from netlab.bench.docker import Real
from netlab.bench.frame import Effort, NoYardstick, Result, at_least, at_most, interleaved
from netlab.bench.labs import state_of_its_own
from netlab.bench.matrix import SEED
from netlab.bench.mininet import ISOLATED, check_yardstick
from netlab.bench.startup import netlab
from netlab.lab.lab import Lab
from netlab.lab.load import load_scenario
from netlab.lab.stages import planned
from netlab.model.errors import LabError

DOCKER, MININET, GALLERY = 100.0, 15.0, 1.5
WORKERS = 2
#: Tests of each side.
OURS, OURS_QUICK, OF_DOCKER, OF_MININET = 200, 40, 6, 10
#: Who has no rights; no name is needed.
UID = 64321
USER = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
_TEST = """
import netlab
import pytest

@pytest.mark.parametrize("number", range({count}))
def test_seed(number):
    with netlab.Lab({seed!r}) as lab:
        assert lab.probe("client -> host:80", family=4).path == "forward"
"""
_MININET = """
import subprocess, sys, time
subprocess.run(["mount", "--bind", "/proc/sys", "/proc/sys"], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", "/proc/sys"], check=True)
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo
start = time.perf_counter()
for number in range(int(sys.argv[1])):
    net = Mininet(topo=SingleSwitchTopo(2), switch=LinuxBridge, controller=None)
    net.start()
    one, other = net.hosts
    assert " 0% packet loss" in one.cmd("ping -c1 -W5 " + other.IP())
    net.stop()
print(time.perf_counter() - start)
"""
#: Looks at a port of a container whose server is starting.
_LOOKS = 100


def run(effort: Effort) -> Iterator[Result]:
    """A line for each user beside each yardstick that is there, and one for the gallery."""
    if not SEED.exists():
        raise NoYardstick(f"the seed scenario is not there: {SEED}")
    count = OURS_QUICK if effort.quick else OURS
    few = effort.fewer(1 if effort.quick else 3)
    users: list[tuple[str, tuple[str, ...]]] = [("root", ()), ("an ordinary user", USER)]
    with ExitStack() as stack:
        machines = [stack.enter_context(Real()) for _ in range(WORKERS)]
        for one in machines:
            one.testbed.run(["ip", "link", "set", "lo", "up"])
        version = machines[0].daemon.version().partition("+")[0]
        for name, before in users:
            samples = interleaved(few, partial(ours, count, before), partial(docker, machines), warm=False)
            yield samples.result(
                f"tests a second, {name}", f"dockerd {version}", at_least(DOCKER), unit="/s",
                note=f"{count} tests of ours, {WORKERS * OF_DOCKER} of Docker",
            )  # fmt: skip
    check_yardstick()
    for name, before in users:
        samples = interleaved(few, partial(ours, count, before), mininet, warm=False)
        yield samples.result(
            f"tests a second, {name}", "Mininet, Linux bridge", at_least(MININET), unit="/s",
            note=f"{count} tests of ours, {WORKERS * OF_MININET} of Mininet",
        )  # fmt: skip
    with state_of_its_own() as folder:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "NETLAB_STATE": f"{folder}/state"}
        files = sorted(SEED.parent.glob("*.yaml"))[:: 4 if effort.quick else 1]
        samples = interleaved(
            effort.fewer(1), partial(verified, files, environment), partial(waits, files), warm=False
        )
        yield samples.result(
            f"verify, {len(files)} files of the gallery", "their measurements alone", at_most(GALLERY)
        )


def ours(count: int, before: tuple[str, ...]) -> float:
    """Tests per second under pytest, its start included."""
    with TemporaryDirectory(prefix="netlab-bench-") as folder:
        if before:
            os.chown(folder, UID, UID)
        file = Path(folder, "test_seed.py")
        file.write_text(_TEST.format(count=count, seed=str(SEED)), "utf-8")
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "NETLAB_STATE": f"{folder}/state",
            "HOME": "/nonexistent",
            "PYTHONPATH": str(SEED.parents[1]),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", str(WORKERS)]
        start = perf_counter()
        done = subprocess.run(
            [*before, *pytest, "--rootdir", folder, str(file)],
            capture_output=True, text=True, env=environment, cwd=folder, check=False, timeout=3600,
        )  # fmt: skip
        taken = perf_counter() - start
    if done.returncode:
        raise LabError(f"the tests failed: {done.stdout[-2000:]}{done.stderr[-500:]}")
    return count / taken


def _at_once(work: list[Callable[[], object]]) -> float:
    start = perf_counter()
    with ThreadPoolExecutor(len(work)) as pool:
        for future in [pool.submit(one) for one in work]:
            future.result()
    return perf_counter() - start


def docker(machines: list[Real]) -> float:
    """Tests per second with a network and a container each, in daemons that run."""
    return len(machines) * OF_DOCKER / _at_once([partial(_docker, one) for one in machines])


def _docker(machine: Real) -> None:
    run_it = machine.testbed.run
    server = ["/busybox", "nc", "-ll", "-p", "80", "-e", "/busybox", "echo", "ok"]
    for _ in range(OF_DOCKER):
        run_it(["docker", "network", "create", "one"])
        run_it(
            [*("docker", "run", "--detach", "--name", "web", "--network", "one", "--publish", "8080:80"),
             machine.image, *server]
        )  # fmt: skip
        for _ in range(_LOOKS):
            if "ok" in run_it(["busybox", "nc", "127.0.0.1", "8080"], check=False):
                break
        else:
            raise LabError("a container of Docker did not answer")
        run_it(["docker", "rm", "--force", "web"])
        run_it(["docker", "network", "rm", "one"])


def mininet() -> float:
    """Tests per second with a Mininet each."""
    seconds: list[float] = []

    def work() -> None:
        done = subprocess.run(
            [*ISOLATED, _MININET, str(OF_MININET)], capture_output=True, text=True, check=False, timeout=3600
        )
        if done.returncode:
            raise LabError(f"Mininet failed: {done.stderr.strip()}")
        seconds.append(float(done.stdout))

    _at_once([work] * WORKERS)
    return WORKERS * OF_MININET / max(seconds)


def verified(files: list[Path], environment: dict[str, str]) -> float:
    """Seconds for ``netlab verify`` of all files."""
    start = perf_counter()
    done = subprocess.run(
        netlab("verify", "--quiet", "--jobs", str(WORKERS), *map(str, files)),
        capture_output=True, text=True, env=environment, check=False, timeout=1200,
    )  # fmt: skip
    if done.returncode:
        raise LabError(f"the gallery did not pass: {done.stdout[-2000:]}{done.stderr[-500:]}")
    return perf_counter() - start


def waits(files: list[Path]) -> float:
    """Seconds in which the packets of all files are on their way, events included, in labs that stand."""
    total = 0.0
    for file in files:
        scenario = load_scenario([file])
        with Lab(plan=planned(scenario), scenario=scenario, allow_programs=True) as lab:
            start = perf_counter()
            lab.verify_exposures()
            lab.verify()
            total += perf_counter() - start
    return total
