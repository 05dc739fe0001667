"""The kernel takes what administrators write, and what is allowed leaves no trace in the machine's /sys."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from netlab.kernel import netns, sysctl
from netlab.model.errors import MachineError

LINES = (Path(__file__).parents[2] / "data" / "ordinary_rules.txt").read_text().splitlines()
#: where IDLETIMER and LED write
TRACES = ("/sys/class/xt_idletimer", "/sys/class/leds", "/sys/devices/virtual/xt_idletimer")


def traces() -> list[list[str]]:
    """What is in the folders of /sys into which extensions that are refused write."""
    return [sorted(path.name for path in Path(place).glob("*")) for place in TRACES]


def test_ordinary_lines_are_taken_in_a_throw_away_namespace() -> None:
    before = traces()
    script = "\n".join(f"{shlex.join(shlex.split(line))} >&2 || echo {shlex.quote(line)}" for line in LINES)
    done = subprocess.run(
        ["unshare", "-Urn", "sh", "-c", f"ip link set lo up\n{script}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout.splitlines() == [], done.stderr
    assert traces() == before


def test_no_congestion_control_is_loaded() -> None:
    """For root the kernel loads the module that a value names; netlab refuses before it is asked."""
    with netns.returning():
        netns.unshare()
        sysctl.write("net.ipv4.tcp_congestion_control", "reno")
        with pytest.raises(MachineError, match="has not loaded tcp_nosuch"):
            sysctl.write("net.ipv4.tcp_congestion_control", "nosuch")
        assert sysctl.read("net.ipv4.tcp_congestion_control") == "reno"
