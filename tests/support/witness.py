"""Whether anything of a lab is left.

A witness is a veth whose other end is in a namespace of the lab: it goes when that namespace goes.
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

#: Seconds within which the kernel must have cleared everything, on a busy machine.
PATIENCE = 60.0


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"still not so after {PATIENCE:.0f} s: {what}"
        select.select([], [], [], 0.01)


class Witness:
    """A network namespace of the test's own, with ends of links that lead into labs."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        own = os.stat("/proc/self/ns/net").st_ino
        until(
            lambda: os.stat(f"/proc/{self.process.pid}/ns/net").st_ino != own, "the witness has a namespace"
        )

    def ip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["nsenter", "-t", str(self.process.pid), "-n", "ip", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def watch(self, netns: str) -> str:
        """Link to a namespace known to ip netns; the name of this end."""
        name = f"wit{random.randrange(10**6)}"
        done = self.ip("link", "add", name, "type", "veth", "peer", "name", f"{name}x", "netns", netns)
        assert done.returncode == 0, done.stderr
        return name

    def sees(self, name: str) -> bool:
        return self.ip("link", "show", name).returncode == 0


@pytest.fixture
def witness() -> Iterator[Witness]:
    if os.geteuid() != 0:
        pytest.skip("nodes have names for ip netns only in root's labs")
    made = Witness()
    yield made
    made.process.kill()
    made.process.wait()


def in_pid_namespace(inode: int) -> list[int]:
    """The processes of a PID namespace, as far as we may see."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{name}/ns/pid").st_ino == inode and not is_forgotten(name):
                found.append(int(name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def is_forgotten(pid: str) -> bool:
    """Whether it is a namespace's first process, dead, whose new parent does not reap (many a container's).

    It ends only after all others of its namespace, and nothing is left of it but its number. Any other
    process that is dead and there would be its parent's fault.
    """
    status = Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return fields["State"].startswith("Z") and fields["NSpid"].split()[-1] == "1" and fields["PPid"] == "1"


def pid_namespace(pid: int) -> int:
    return os.stat(f"/proc/{pid}/ns/pid").st_ino
