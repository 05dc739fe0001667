"""Ctrl-C, a terminal that goes away, SIGTERM: at any instant of any verb, it ends soon and leaves nothing."""

from __future__ import annotations

import os
import pty
import random
import select
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.witness import until

from .conftest import Scale
from .traces import in_namespaces, names, namespaces_of, processes

SEED = Path(__file__).parents[2] / "scenarios" / "httpd.yaml"
#: Every verb, with arguments that make it work for a while.
VERBS: dict[str, tuple[str, ...]] = {
    "up": ("SEED", "--name", "LAB"),
    "down": ("LAB",),
    "ls": ("--json",),
    "status": ("LAB",),
    "exec": ("LAB.client", "--", "sleep", "600"),
    "shell": ("LAB.client", "--shell", "/bin/sh"),
    "rules": ("LAB.host",),
    "sockets": ("LAB",),
    "do": ("LAB", "restart", "httpd"),
    "probe": ("LAB", "client -> host:*"),
    "trace": ("LAB",),
    "verify": ("SEED",),
    "matrix": ("LAB",),
    "diff": ("SEED", "--engine", "docker-28"),
    "explain": ("LAB", "client -> host:80"),
    "capture": ("LAB", "-w", "OUT"),
    "gallery": (),
    "engines": (),
    "plan": ("SEED",),
    "doctor": (),
    "clean": (),
    "completion": ("bash",),
}
#: These need no lab that stands.
ALONE = {"up", "ls", "verify", "diff", "gallery", "engines", "plan", "doctor", "clean", "completion"}


def command(verb: str, lab: str, netlab: Any) -> list[str]:
    words = {"SEED": str(SEED), "OUT": str(netlab.state / "out.pcapng")}
    return [verb, *(words.get(word, word.replace("LAB", lab)) for word in VERBS[verb])]


def one(netlab: Any, verb: str, how: str, delay: float) -> tuple[int, float]:
    """Interrupt a verb after ``delay`` seconds; its exit code, and how long it took to end."""
    lab = netlab.name()
    if verb not in ALONE:
        netlab("up", "-q", SEED, "--name", lab)
    master, slave = pty.openpty()
    process = netlab.start(
        *command(verb, lab, netlab), stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=_own_terminal,
    )  # fmt: skip
    os.close(slave)
    began = time.monotonic()
    said = b""
    seen: set[int] = set()

    def listen(seconds: float) -> None:
        nonlocal said
        if select.select([master], [], [], seconds)[0]:
            try:
                said += os.read(master, 65536)
            except OSError:  # EIO: the other side is closed
                select.select([], [], [], min(seconds, 0.02))

    while (left := began + delay - time.monotonic()) > 0 and process.poll() is None:
        listen(min(left, 0.05))
        seen |= namespaces_of(netlab.state / "labs")
    if how == "ctrl-c":
        os.write(master, b"\x03")  # the terminal sends SIGINT to the foreground
    elif how == "term":
        process.terminate()
    if how == "hangup":
        os.close(master)
    struck = time.monotonic()
    while process.poll() is None:
        assert time.monotonic() - struck < 100, f"{verb} goes on after {how}: {said!r}"
        if how == "hangup":
            select.select([], [], [], 0.02)
        else:
            if verb == "shell":  # it answers that itself, and goes on, and may lose what was typed meanwhile
                os.write(master, b"exit 0\n")
            listen(0.05)
        seen |= namespaces_of(netlab.state / "labs")
    took = time.monotonic() - struck
    if how != "hangup":
        os.close(master)
    assert b"Traceback" not in said, said.decode(errors="replace")
    netlab("down", "--all")
    netlab("ls")
    until(lambda: not in_namespaces(seen) and not processes(netlab.state / "labs"), "every process is gone")
    assert list(names(netlab.state / "labs")) == [], f"{verb} after {how}"
    (netlab.state / "out.pcapng").unlink(missing_ok=True)
    return process.returncode, took


def _own_terminal() -> None:
    """In a terminal, and as the installed command starts: ^C waits until the program can answer it."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@pytest.mark.parametrize("how", ["ctrl-c", "hangup", "term"])
def test_interrupted(how: str, netlab: Any, scale: Scale, figure: Callable[[str], None]) -> None:
    chance = random.Random(scale.seed)
    codes: Counter[str] = Counter()
    slowest = 0.0
    count = scale(1, 8) * len(VERBS)
    for number in range(count):
        verb = list(VERBS)[number % len(VERBS)]
        delay = chance.choice((0.3, 1.0, 2.5)) * chance.random()
        code, took = one(netlab, verb, how, delay)
        slowest = max(slowest, took)
        codes[f"{verb} {code}"] += 1
        if how == "ctrl-c":
            assert code in (0, 130), f"{verb} after {delay:.2f} s ended with {code}"
    figure(
        f"{count} × {how}, slowest end {slowest:.1f} s; "
        + ", ".join(f"{k}: {n}" for k, n in sorted(codes.items()))
    )
