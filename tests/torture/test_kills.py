"""SIGKILL at random instants of every verb, of whoever is there: nothing is left but names.

::

    up   probe   verify   capture   matrix   down        what is going on
    the command line, or any process of the lab          who is killed
    0 … as long as the verb took last time               when
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.labs import NOBODYS_UID
from support.witness import until

from .conftest import Scale
from .traces import in_namespaces, names, namespaces_of, processes

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
VERBS = ("up", "probe", "verify", "capture", "matrix", "down")


class Round:
    """One verb, one victim, one instant."""

    def __init__(self, netlab: Any, chance: random.Random, typical: dict[str, float]) -> None:
        self.netlab = netlab
        self.state = netlab.state / "labs"
        self.chance = chance
        self.typical = typical
        self.verb = chance.choice(VERBS)
        self.victim = "nobody"
        self.seen: set[int] = set()

    def run(self, file: Path) -> None:
        lab = self.netlab.name()
        if self.verb not in ("up", "verify"):
            self.netlab("up", "-q", SEED, "--name", lab)
        arguments = {
            "up": ("up", "-q", SEED, "--name", lab),
            "probe": ("probe", lab, "client -> host:*"),
            "verify": ("verify", "-q", SEED),
            "capture": ("capture", lab, "-w", file),
            "matrix": ("matrix", lab),
            "down": ("down", lab),
        }[self.verb]
        began = time.monotonic()
        process = self.netlab.start(*arguments, preexec_fn=deaf)
        typical = self.typical.setdefault(self.verb, 1.0)
        delay = self.chance.uniform(0, 1.1 * typical)
        while (left := began + delay - time.monotonic()) > 0 and process.poll() is None:
            select.select([], [], [], min(left, 0.02))
            self.seen |= namespaces_of(self.state)
        self.kill(process)
        self.seen |= namespaces_of(self.state)
        if self.verb == "capture" and process.poll() is None:
            process.send_signal(signal.SIGINT)  # it goes on until it is told to stop
        _, err = process.communicate(timeout=100)
        assert "Traceback" not in err, err
        if process.returncode != -signal.SIGKILL:
            self.typical[self.verb] = 0.8 * typical + 0.2 * min(time.monotonic() - began, 20)
        self.netlab("down", "--all")
        self.netlab("ls")
        until(lambda: not in_namespaces(self.seen) and not processes(self.state), "every process is gone")
        assert list(names(self.state)) == [], f"{self.verb}, {self.victim} killed"

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill the command line, or a process of a lab; one that has ended is skipped."""
        candidates = in_namespaces(namespaces_of(self.state))
        if process.poll() is None and (self.chance.random() < 0.35 or not candidates):
            self.victim = "the command line"
            process.kill()
            return
        if not candidates:
            return
        pid = self.chance.choice(candidates)
        try:
            self.victim = _label(pid)
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            self.victim = "nobody"


def deaf() -> None:
    """As the installed command starts: the SIGINT that ends a capture waits until it can be answered."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _label(pid: int) -> str:
    """What a process is, by its place in its PID namespace and its command line."""
    try:
        inner = Path(f"/proc/{pid}/status").read_text().partition("NSpid:")[2].split("\n")[0].split()[-1]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return "nobody"
    if inner == "1":
        return "supervisor"
    name = os.path.basename(words[0].decode(errors="replace")) or "?"
    return "child of the supervisor" if name.startswith("python") else name


@pytest.mark.parametrize("who", ["root", "user"])
def test_kills(
    who: str, make_netlab: Any, scale: Scale, figure: Callable[[str], None], tmp_path_factory: Any
) -> None:
    if os.geteuid() != 0 and who == "root":
        pytest.skip("the tests run without root: the other half of this test is theirs")
    uid = NOBODYS_UID if who == "user" and os.geteuid() == 0 else 0
    netlab = make_netlab(uid)
    count = scale(12, 270) if who == "root" else scale(4, 90)
    chance = random.Random(scale.seed)
    typical: dict[str, float] = {}
    counts: Counter[str] = Counter()
    for number in range(count):
        one = Round(netlab, chance, typical)
        try:
            one.run(netlab.state / "out.pcapng")
        except BaseException:
            figure(f"round {number} of seed {scale.seed}: {one.verb}, {one.victim} killed")
            raise
        (netlab.state / "out.pcapng").unlink(missing_ok=True)
        counts[one.victim] += 1
        counts[f"during {one.verb}"] += one.victim != "nobody"
    killed = count - counts["nobody"]
    figure(
        f"{killed} kills of {count} rounds, 0 left behind; "
        + ", ".join(f"{n} {w}" for w, n in counts.most_common())
    )


# ── during changes of a running lab ──────────────────────────────────────────────────────────────────────

CHANGING = """
name: k
services:
  web: {networks: [front], expose: ["80"]}
  db: {networks: [front], ports: ["81:80", "53:53/udp"]}
networks: {front: {}, back: {}}
x-netlab: {host: {engine: docker-20.10}}
"""
EVENTS = (
    "restart db", "stop db", "start db", "connect db back", "disconnect db back", "restart daemon",
    "create network back", "remove network back", "stop daemon", "start daemon",
)  # fmt: skip
#: A program that asks db's responder, by the name that the responder itself resolves.
ASK = (sys.executable, "-c", """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    asking.settimeout(20)
    asking.connect(("db", 53))
    asking.send(b"x")
    print(asking.recv(999).decode())
""")  # fmt: skip
#: Rounds after which a lab is taken down, and everything must be gone.
LIFE = 8


class ChangingRound(Round):
    """One change of a running lab, one process killed at one instant; then `up` repairs the lab."""

    def __init__(self, netlab: Any, chance: random.Random, typical: dict[str, float], lab: str) -> None:
        super().__init__(netlab, chance, typical)
        self.lab = lab
        self.verb = chance.choice(("scale", "scale", "event", "event", "event", "down"))
        self.after = ""

    def run(self, file: Path) -> None:
        """Change, kill, and check: the lab is complete or reports that it is not, and `up` repairs it."""
        up = ("up", "-q", file, "--name", self.lab)
        event = self.chance.choice(EVENTS).split()
        scale = (*up, "--scale", f"web={self.chance.randrange(1, 5)}")
        changing = ("do", self.lab, *event) if self.verb == "event" else scale
        self.verb = " ".join(event) if self.verb == "event" else self.verb
        began = time.monotonic()
        kind = self.verb if self.verb in ("scale", "down") else "event"
        typical = self.typical.setdefault(kind, 1.0)
        processes_of = [self.netlab.start(*changing, preexec_fn=deaf)]
        if self.verb == "down":
            select.select([], [], [], self.chance.uniform(0, typical))
            processes_of.append(self.netlab.start("down", self.lab, preexec_fn=deaf))
        delay = self.chance.uniform(0.3, 1.1) * typical
        while (left := began + delay - time.monotonic()) > 0 and processes_of[-1].poll() is None:
            select.select([], [], [], min(left, 0.02))
            self.seen |= namespaces_of(self.state)
        self.kill(self.chance.choice(processes_of))
        self.seen |= namespaces_of(self.state)
        for process in processes_of:
            _, err = process.communicate(timeout=100)
            assert "Traceback" not in err, err
            assert process.returncode in (0, 1, 2, -signal.SIGKILL), err
        if self.victim == "nobody":
            self.typical[kind] = 0.8 * typical + 0.2 * min(time.monotonic() - began, 20)
        self.mend(up)

    def mend(self, up: tuple[Any, ...]) -> None:
        """`status` must not call a lab whole that is not; `up` must make it whole."""
        status = self.netlab.start("status", self.lab)
        status.communicate(timeout=100)
        self.after = {0: "stood whole", 1: "said that it was not whole", 2: "was gone"}[status.returncode]
        self.netlab(*up)
        answer = self.netlab.exec(self.lab, "web", *ASK)
        assert answer.startswith("netlab db"), answer
        self.stale()

    def stale(self) -> None:
        """No name for ip netns leads nowhere, and of the dead supervisors no process is left."""
        running = namespaces_of(self.state)
        until(lambda: not in_namespaces(self.seen - running), "processes of killed supervisors are gone")
        if os.path.isdir("/run/netns"):
            links = [
                f"/run/netns/{name}" for name in os.listdir("/run/netns") if name.startswith(f"{self.lab}.")
            ]
            assert [link for link in links if not os.path.exists(link)] == []
        assert os.listdir(self.state) == [self.lab]


@pytest.mark.parametrize("who", ["root", "user"])
def test_kills_during_changes(
    who: str, make_netlab: Any, scale: Scale, figure: Callable[[str], None], tmp_path_factory: Any
) -> None:
    if os.geteuid() != 0 and who == "root":
        pytest.skip("the tests run without root: the other half of this test is theirs")
    uid = NOBODYS_UID if who == "user" and os.geteuid() == 0 else 0
    netlab = make_netlab(uid)
    file = netlab.state / "k.yaml"
    file.write_text(CHANGING)
    file.chmod(0o644)
    count = scale(10, 220) if who == "root" else scale(4, 100)
    chance = random.Random(scale.seed)
    typical: dict[str, float] = {}
    counts: Counter[str] = Counter()
    lab, seen = "", set[int]()

    def all_is_gone() -> bool:
        return not in_namespaces(seen) and not processes(netlab.state / "labs")

    for number in range(count):
        if not number % LIFE:
            lab = netlab.name()
            netlab("up", "-q", file, "--name", lab)
        one = ChangingRound(netlab, chance, typical, lab)
        try:
            one.run(file)
        except BaseException:
            figure(f"round {number} of seed {scale.seed}: {one.verb}, {one.victim} killed")
            raise
        seen |= one.seen
        counts[one.victim] += 1
        counts[one.after] += one.victim != "nobody"
        if number % LIFE == LIFE - 1 or number == count - 1:
            netlab("down", lab)
            assert netlab("clean").stderr == "nothing to remove\n"
            until(all_is_gone, "every process of every lab is gone")
            assert list(names(netlab.state / "labs")) == []
            seen.clear()  # the kernel gives the numbers of namespaces to others by and by
    killed = count - counts["nobody"]
    figure(
        f"{killed} kills of {count} changes, 0 left behind; "
        + ", ".join(f"{n} {w}" for w, n in counts.most_common())
    )
