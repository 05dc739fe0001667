"""Bring-up and teardown of whole labs beside Mininet with a Linux bridge.

Ours: a Compose file's N dual-stack containers on one network, a published port each, with Docker's rules,
listeners and responders, all in its supervisor.  Theirs: N hosts with an IPv4 address each on one bridge,
nothing else.

Mininet raises machine-wide sysctls, so it runs in namespaces of its own in which /proc/sys is read-only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from time import perf_counter

from netlab.bench.drain import drain
from netlab.bench.frame import Effort, NoYardstick, Result, Samples, faster, interleaved
from netlab.bench.labs import plan_of, state_of_its_own, up_and_down
from netlab.model.errors import LabError
from netlab.model.plan import Plan

UP, DOWN = 12.0, 25.0
"""Goals: how many times faster than Mininet."""

SIZES = (10, 100, 1000)
ROUNDS = {10: 7, 100: 3, 1000: 1}
PYTHON = "/usr/bin/python3"  # Debian's mininet is a module of Debian's python
ISOLATED = (
    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("--propagation", "private", PYTHON, "-I", "-c"),
)

SCRIPT = """
import json, subprocess, sys, time
subprocess.run(["mount", "--bind", "/proc/sys", "/proc/sys"], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", "/proc/sys"], check=True)
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import SingleSwitchTopo
start = time.perf_counter()
net = Mininet(topo=SingleSwitchTopo(int(sys.argv[1])), switch=LinuxBridge, controller=None)
net.start()
up = time.perf_counter() - start
start = time.perf_counter()
net.stop()
print(json.dumps({"up": up, "down": time.perf_counter() - start}))
"""


def mininet(containers: int) -> tuple[float, float]:
    """The same for Mininet: its own figures, plus the wait for the end of its namespaces after its exit."""
    result = subprocess.run(
        [*ISOLATED, SCRIPT, str(containers)], capture_output=True, text=True, check=False, timeout=600
    )
    if result.returncode:
        raise LabError(f"Mininet failed: {result.stderr.strip()}")
    answer = json.loads(result.stdout)
    start = perf_counter()
    drain()
    return answer["up"], answer["down"] + perf_counter() - start


def check_yardstick() -> None:
    """Raise NoYardstick if Mininet or one of its tools is not installed."""
    there = subprocess.run([PYTHON, "-I", "-c", "import mininet"], capture_output=True, check=False)
    if there.returncode or not shutil.which("mnexec") or not shutil.which("brctl", path="/usr/sbin:/sbin"):
        raise NoYardstick("Mininet is not installed: run ./install --bench")


def run(effort: Effort) -> Iterator[Result]:
    """Two lines for each size."""
    check_yardstick()
    with state_of_its_own() as folder:
        for size in SIZES[:2] if effort.quick else SIZES:
            plan = plan_of(size, folder)
            downs: tuple[list[float], list[float]] = ([], [])

            def ours(plan: Plan = plan, downs: list[float] = downs[0]) -> float:
                up, down = up_and_down(plan)
                downs.append(down)
                return up

            def theirs(size: int = size, downs: list[float] = downs[1]) -> float:
                up, down = mininet(size)
                downs.append(down)
                return up

            ups = interleaved(effort.fewer(ROUNDS[size]), ours, theirs, warm=False)
            yield ups.result(f"whole lab up, {size} containers", "Mininet, Linux bridge", faster(UP))
            yield Samples(tuple(downs[0]), tuple(downs[1])).result(
                f"whole lab down, {size} containers", "Mininet, Linux bridge", faster(DOWN)
            )
