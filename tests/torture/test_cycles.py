"""Up and down for ever: descriptors, memory and namespaces are the same as after the first few times."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.witness import until

from .conftest import Scale
from .traces import names, processes

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
#: The first cycles fill caches.
WARM = 10
#: Objects that a cycle may leave: Python keeps up to 2,000 free tuples of each length. Its memory grows by
#: arenas of 1 MiB (Objects/obmalloc.c), of which two may have been begun.
OBJECTS, MEMORY = 5, 2 << 20

#: A program of its own: pytest remembers much of what it sees.
PROGRAM = """
import gc, json, os, sys
import netlab

def cycle():
    with netlab.Lab(sys.argv[1]) as lab:
        assert lab.probe("client -> host:80", 4).outcome == "ok"

def known():
    gc.collect()
    status = open("/proc/self/status").read().split()
    threads, anonymous = (int(status[status.index(word) + 1]) for word in ("Threads:", "RssAnon:"))
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threads,
        "memory": 1024 * anonymous,
        "objects": sys.getallocatedblocks(),
    }

warm, count = map(int, sys.argv[2:])
for _ in range(warm):
    cycle()
before = known()
for _ in range(count):
    cycle()
print(json.dumps([before, known()]))
"""


def test_cycles_in_one_process(netlab: Any, scale: Scale, figure: Callable[[str], None]) -> None:
    count = scale(15, 500)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(SEED), str(WARM), str(count)],
        cwd=SEED.parents[1],
        env=netlab.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout)
    grown = after.pop("memory") - before.pop("memory")
    objects = after.pop("objects") - before.pop("objects")
    assert after == before
    assert objects <= count * OBJECTS
    assert grown <= MEMORY
    until(lambda: not processes(netlab.state / "labs"), "every process of every lab is gone")
    assert list(names(netlab.state / "labs")) == []
    same = ", ".join(f"{n} {what}" for what, n in before.items())
    figure(f"{count} cycles: {same} as before, {objects:+} objects, {grown >> 10:+} KiB, nothing left")


def test_cycles_by_command_line(netlab: Any, scale: Scale, figure: Callable[[str], None]) -> None:
    count = scale(4, 500)
    lab = netlab.name()
    for _ in range(count):
        netlab("up", "-q", SEED, "--name", lab)
        netlab("down", lab)
        assert list(names(netlab.state / "labs")) == []
    until(lambda: not processes(netlab.state / "labs"), "every process of every lab is gone")
    figure(f"{count} cycles by the command line: nothing left")
