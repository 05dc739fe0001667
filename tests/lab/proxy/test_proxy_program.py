"""``python -m netlab.proxy`` beside docker-proxy: command line, ready pipe, passed listener, signals."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.proxy_field import Field

OURS = (sys.executable, "-m", "netlab.proxy")


class Program:
    """Runs a docker-proxy in the host, with descriptor 3 a pipe."""

    def __init__(self, field: Field, argv: tuple[str, ...]) -> None:
        self.field = field
        self.argv = argv
        self._running: list[subprocess.Popen[str]] = []

    def start(
        self, *arguments: str, listener: socket.socket | None = None
    ) -> tuple[subprocess.Popen[str], str]:
        """Started, and what it said on descriptor 3."""
        ready, its = os.pipe()
        actions = [(os.POSIX_SPAWN_DUP2, its, 3)]
        keep = [3]
        if listener is not None:
            actions.append((os.POSIX_SPAWN_DUP2, listener.fileno(), 4))
            keep.append(4)

        def descriptors() -> None:
            high = os.dup(its), os.dup(listener.fileno()) if listener is not None else -1
            os.dup2(high[0], 3)
            if listener is not None:
                os.dup2(high[1], 4)

        with self.field.inside(self.field.host):
            process = subprocess.Popen(
                [*self.argv, *arguments],
                preexec_fn=descriptors,
                close_fds=False,
                stderr=subprocess.PIPE,
                text=True,
            )
        os.close(its)
        self._running.append(process)
        assert select.select([ready], [], [], 30)[0]
        said = os.read(ready, 4096).decode()
        os.close(ready)
        return process, said

    def end(self) -> None:
        for process in self._running:
            process.kill()
            process.communicate()


@pytest.fixture(params=["ours", "docker-proxy"])
def program(request: pytest.FixtureRequest, field: Field) -> Iterator[Program]:
    made = Program(field, OURS if request.param == "ours" else (field.yardstick(),))
    yield made
    made.end()


def arguments(field: Field, *changes: str) -> list[str]:
    given = ["-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "80"]
    return [*given, "-container-ip", field.container4, "-container-port", "8000", *changes]


def test_ready_serving_and_ending(program: Program, field: Field) -> None:
    backend = field.backend()
    process, said = program.start(*arguments(field))
    assert said == "0\n"
    client, server = field.through(backend)
    client.sendall(b"x")
    assert server.recv(1) == b"x"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert client.recv(1) == b""
    assert server.recv(1) == b""


@pytest.mark.parametrize("form", ["-host-port=81", "--host-port=81"])
def test_flags_as_go_takes_them(program: Program, field: Field, form: str) -> None:
    field.backend()
    assert program.start(*arguments(field, form))[1] == "0\n"
    assert field.connect(81)


@pytest.mark.parametrize(
    "changes",
    [
        ["-host-ip", "192.0.2.1"],
        ["-host-ip", "2001:db8:ffff::1"],
        ["-proto", "udp", "-host-ip", "192.0.2.1"],
        ["-proto", "sctp"],
    ],
)
def test_errors_are_worded_as_docker_proxy_does(field: Field, changes: list[str]) -> None:
    heard = []
    for argv in (OURS, (field.yardstick(),)):
        program = Program(field, argv)
        process, said = program.start(*arguments(field, *changes))
        heard.append((said, process.wait(30)))
        program.end()
    assert heard[0] == heard[1]
    assert heard[0][0].startswith("1\n")


def test_failing_backend_is_logged(program: Program, field: Field) -> None:
    process, _ = program.start(*arguments(field))
    assert field.connect().recv(1) == b""
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line[20:].startswith(f"Can't forward traffic to backend tcp/{field.container4}:8000: ")
    assert line.endswith("connection refused\n")


def test_unknown_flag(program: Program, field: Field) -> None:
    process, _ = program.start(*arguments(field, "-no-such-flag"))
    assert process.wait(30) == 2
    assert process.stderr is not None
    assert process.stderr.readline() == "flag provided but not defined: -no-such-flag\n"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_passed_listener(field: Field, protocol: str) -> None:
    """Docker 28 and later bind for docker-proxy; 20.10's has no such flag, so nothing is compared."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    backend = field.backend(kind=kind)
    listener = field.open(field.host, kind=kind)
    listener.bind(("0.0.0.0", 80))
    if protocol == "tcp":
        listener.listen()
    program = Program(field, OURS)
    process, said = program.start(*arguments(field, "-proto", protocol, "-use-listen-fd"), listener=listener)
    listener.close()
    assert said == "0\n"
    client = field.open(field.client, kind=kind)
    client.connect((field.host4, 80))
    client.send(b"q")
    if protocol == "tcp":
        assert field.accept(backend).recv(1) == b"q"
    else:
        assert backend.recv(1) == b"q"
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
    assert words[0] == b"docker-proxy"
    assert words[-2] == b"-use-listen-fd"
    program.end()
