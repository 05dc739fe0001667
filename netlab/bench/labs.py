"""Whole labs for the benchmarks: a Compose file of any size, up and down again, seen by no other netlab."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from netlab.bench.drain import drain
from netlab.lab import codec, state
from netlab.lab.client.launch import Launch
from netlab.lab.load import load_plan
from netlab.lab.record import record_of
from netlab.model.plan import Plan


def compose(containers: int) -> str:
    """A Compose file of that many containers on one dual-stack network, each with a published port."""
    network = {
        "enable_ipv6": True,
        "ipam": {"config": [{"subnet": "10.10.0.0/16"}, {"subnet": "fd00:10::/64"}]},
    }
    services = {
        f"c{number}": {"image": "scratch", "networks": ["nw"], "ports": [f"{10000 + number}:80"]}
        for number in range(containers)
    }
    hosts = {"host": {"engine": "docker-20.10"}, "expect": []}
    return json.dumps({"services": services, "networks": {"nw": network}, "x-netlab": hosts})


def plan_of(containers: int, folder: str) -> Plan:
    """The plan of :func:`compose`'s file."""
    path = Path(folder, f"bench{containers}.yaml")
    path.write_text(compose(containers), encoding="utf-8")
    return load_plan([path], environ={})


@contextmanager
def state_of_its_own() -> Iterator[str]:
    """A folder for labs that no other netlab sees; the path."""
    before = os.environ.get("NETLAB_STATE")
    with TemporaryDirectory(prefix="netlab-bench-") as folder:
        os.environ["NETLAB_STATE"] = f"{folder}/state"
        try:
            yield folder
        finally:
            if before is None:
                del os.environ["NETLAB_STATE"]
            else:
                os.environ["NETLAB_STATE"] = before


def up_and_down(plan: Plan) -> tuple[float, float]:
    """Seconds from a plan until its lab answers, and from there until nothing is left of it.

    The supervisor's processes have started before the clock does, as those of the yardstick have.
    """
    text = codec.dumps(plan)
    with state.Lock(plan.name) as lock:
        launch = Launch()
        while not launch.warm:
            launch.take_report(launch.receive())
        start = perf_counter()
        launch.build(lock, text, record_of(plan, text, [], owner=os.getpid()))
        launch.commit(detach=False)
        up = perf_counter() - start
        start = perf_counter()
        launch.abandon()
        drain()
        return up, perf_counter() - start
