"""Up and down for ever: descriptors, memory and namespaces are the same as after the first few times."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netlab as package

from .conftest import Scale, borrowed
from .traces import names, processes

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
until = borrowed("lab/test_lab_kill.py").until
#: The first cycles fill caches.
WARM = 5
#: Octets that a cycle may leave, for the noise of an allocator: a leaked object a cycle is more.
PER_CYCLE = 512


def resident() -> int:
    """Octets of anonymous memory of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_cycles_in_one_process(
    scale: Scale, figure: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETLAB_STATE", str(tmp_path / "labs"))

    def cycle() -> None:
        with package.Lab(SEED) as lab:
            journey = lab.probe("client -> host:80", 4)
            assert journey.outcome == "ok"

    for _ in range(WARM):
        cycle()
    gc.collect()
    fds, memory = descriptors(), resident()
    count = scale(15, 500)
    for _ in range(count):
        cycle()
        assert descriptors() == fds
    gc.collect()
    grown = resident() - memory
    until(lambda: set(processes(tmp_path / "labs")) <= {os.getpid()}, "every process of every lab is gone")
    assert list(names(tmp_path / "labs")) == []
    assert grown <= max(1 << 20, count * PER_CYCLE)
    figure(f"{count} cycles: {fds} descriptors as before, {grown / 1024:+.0f} KiB of memory, no process left")


def test_cycles_by_command_line(netlab: Any, scale: Scale, figure: Callable[[str], None]) -> None:
    count = scale(4, 60)
    lab = netlab.name()
    for _ in range(count):
        netlab("up", "-q", SEED, "--name", lab)
        netlab("down", lab)
        assert list(names(netlab.state / "labs")) == []
    until(lambda: not processes(netlab.state / "labs"), "every process of every lab is gone")
    figure(f"{count} cycles by the command line: nothing left")
