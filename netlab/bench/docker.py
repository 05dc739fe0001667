"""Bring-up of whole labs beside a real dockerd in a testbed of its own: one ``docker run`` per container.

Both sides create the same: containers on one network, with one published port each. Docker's daemon, network
and image exist before the clock starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from netlab.bench.drain import drain
from netlab.bench.frame import Effort, NoYardstick, Result, faster, interleaved
from netlab.bench.labs import plan_of, state_of_its_own, up_and_down
from netlab.bench.real.daemon import IMAGE, Daemon
from netlab.bench.real.testbed import Testbed
from netlab.kernel.machine import find_tool

GOAL = 150.0
"""So many times faster than ``docker run``."""

SIZES = (10, 100)
ROUNDS = {10: 3, 100: 1}


class Real:
    """A real dockerd with one network and one image, in a testbed that goes with it."""

    def __init__(self) -> None:
        if find_tool("dockerd") is None or find_tool("docker") is None:
            raise NoYardstick("Docker is not installed: run ./install --dev")
        self.image = IMAGE
        self.testbed = Testbed()
        self.daemon = Daemon(self.testbed, {})

    def __enter__(self) -> Real:
        self.daemon.start()
        self.daemon.load_image()
        self.testbed.run(["docker", "network", "create", "--subnet", "10.10.0.0/16", "nw"])
        return self

    def __exit__(self, *exception: object) -> None:
        self.daemon.kill()

    def run(self, containers: int) -> float:
        """Seconds for that many ``docker run``, one after the other; they are gone again afterwards."""
        start = perf_counter()
        for number in range(containers):
            command = ["docker", "run", "--detach", "--network", "nw", "--publish", f"{10000 + number}:80"]
            self.testbed.run([*command, self.image, "/busybox", "sleep", "3600"])
        taken = perf_counter() - start
        names = self.testbed.run(["docker", "ps", "--quiet"]).split()
        for start_at in range(0, len(names), 10):
            self.testbed.run(["docker", "rm", "--force", *names[start_at : start_at + 10]])
        drain()
        return taken


def run(effort: Effort) -> Iterator[Result]:
    """One line for each size."""
    with Real() as docker, state_of_its_own() as folder:
        version = docker.daemon.version().partition("+")[0]
        for size in SIZES[:1] if effort.quick else SIZES:
            plan = plan_of(size, folder)
            samples = interleaved(
                effort.fewer(ROUNDS[size]),
                lambda plan=plan: up_and_down(plan)[0],  # type: ignore[misc]
                lambda size=size: docker.run(size),  # type: ignore[misc]
                warm=False,
            )
            yield samples.result(f"whole lab up, {size} containers", f"docker run, {version}", faster(GOAL))
