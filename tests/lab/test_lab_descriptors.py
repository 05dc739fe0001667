"""A lab keeps nothing open that its caller had open: no lock, no pipe, no file."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.processes import open_files

SCENARIO = {
    "services": {
        "web": {"image": "x", "ports": ["80:80", "81:81/udp"], "networks": ["n"]},
        "run": {"image": "x", "networks": ["n"]},
    },
    "networks": {"n": {}},
    "x-netlab": {
        "host": {"engine": "docker-28", "daemon": {"userland-proxy": True}},
        "services": {"run": {"command": ["sleep", "600"]}},
        "rules": ["iptables -I DOCKER-USER -j RETURN"],
    },
}
#: Where descriptors of the caller's may be: low, where netlab puts its own, and high.
NUMBERS = (3, 4, 10, 11, 12, 700)


class Opened:
    """A locked file and a pipe, which a program inherits under several numbers."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self.read, self.write = os.pipe()
        self.marks = {self._mark(f"/proc/self/fd/{fd}") for fd in (self.file.fileno(), self.write)}

    @staticmethod
    def _mark(path: str) -> tuple[int, int]:
        found = os.stat(path)
        return found.st_dev, found.st_ino

    def pass_on(self) -> None:
        """In the child: have them under all numbers."""
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 800) for fd in (self.file.fileno(), self.write)]
        for number in NUMBERS:
            os.dup2(high[number % 2], number)

    def run(self, netlab: Any, *arguments: str | Path) -> str:
        options = {"preexec_fn": self.pass_on, "close_fds": False}
        process: subprocess.Popen[str] = netlab.start(*arguments, **options)
        out, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        return out

    def held(self, pid: str) -> list[str]:
        """Which descriptors of a process are these."""
        return [path for path, file in open_files(int(pid)).items() if file in self.marks]


@pytest.fixture
def opened() -> Iterator[Opened]:
    made = Opened()
    yield made
    made.file.close()
    os.close(made.read)


def processes_of(pid: int) -> dict[str, str]:
    """A process and all below it, with their command lines."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[name] = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = {str(pid)}
    while more := {name for name, parent in parents.items() if parent in found} - found:
        found |= more
    words = {}
    for name in found:
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            words[name] = Path(f"/proc/{name}/cmdline").read_text().replace("\0", " ")
    return words


def test_no_process_of_a_lab_keeps_what_its_caller_had_open(anyones: Any, opened: Opened) -> None:
    file = anyones.state / "compose.yaml"
    file.write_text(json.dumps(SCENARIO))
    lab = anyones.name()
    opened.run(anyones, "up", "-q", file, "--name", lab)
    opened.run(anyones, "do", lab, "restart web")  # processes that start later
    pid = anyones.record(lab)["pid"]
    listed = opened.run(
        anyones, "exec", f"{lab}.client", "--", "python3", "-c",
        "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))",
    )  # fmt: skip
    assert listed == "[0, 1, 2, 3]\n"  # the last is the directory that it reads
    background = opened.run(
        anyones, "exec", f"{lab}.client", "--", "sh", "-c", "sleep 599 </dev/null >/dev/null 2>&1 &"
    )
    assert background == ""
    opened.run(anyones, "probe", lab, "client -> host:80", "-4")
    found = processes_of(pid)
    words = " ".join(found.values())
    for word in ("netlab", "responder", "docker-proxy", "sleep 600", "sleep 599"):
        assert word in words, found
    assert {found[name]: held for name in found if (held := opened.held(name))} == {}
    os.close(opened.write)
    os.set_blocking(opened.read, False)
    assert os.read(opened.read, 1) == b""  # its end: nobody else can write
