"""Many connections are carried by two processes; nobody outside can tell but by their process ids."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.lab.services.proxies import _Process
from netlab.model.errors import LabError
from netlab.proxy import helper

if TYPE_CHECKING:
    from support.proxy_field import Field

MANY = 40


@pytest.fixture
def two(field: Field, monkeypatch: pytest.MonkeyPatch) -> Field:
    """The field, whose proxies may have a helper on a machine with one processor, too."""
    monkeypatch.setattr("netlab.proxy.server.wanted", lambda: True)  # the proxy is a fork of this process
    return field


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def established(field: Field) -> dict[int, set[int]]:
    """Which ports of clients each process of the host carries."""
    found: dict[int, set[int]] = {}
    for line in field.run(
        field.host, "ss", "-Htnp", "state", "established", "sport", "=", ":80"
    ).splitlines():
        owner = re.search(r'\(\("docker-proxy",pid=(\d+),', line)
        assert owner is not None, line
        found.setdefault(int(owner[1]), set()).add(int(line.split()[3].rpartition(":")[2]))
    return found


def many(field: Field, backend: socket.socket, port: int = 80) -> list[tuple[socket.socket, socket.socket]]:
    return [field.through(backend, port) for _ in range(MANY)]


def works(client: socket.socket, server: socket.socket) -> None:
    client.sendall(b"question")
    assert server.recv(100) == b"question"
    server.sendall(b"answer")
    assert client.recv(100) == b"answer"


def test_few_connections_need_no_helper(two: Field) -> None:
    backend = two.backend()
    (pid,) = two.start(two.listener()).pids()
    for _ in range(3 * helper.ALONE):
        client, server = two.through(backend)
        client.close()
        assert server.recv(1) == b""
        server.close()
        two.until(lambda: not established(two), "the proxy has closed the connection")
    standing = [two.through(backend) for _ in range(helper.ALONE)]
    assert len(standing) == helper.ALONE
    assert children(pid) == []


def test_two_processes_carry_and_one_listens(two: Field) -> None:
    backend = two.backend()
    proxies = two.start(two.listener())
    (master,) = proxies.pids()
    ends = many(two, backend)
    (other,) = children(master)
    two.until(lambda: {len(ports) for ports in established(two).values()} == {MANY // 2}, "a half each")
    assert established(two).keys() == {master, other}
    assert set(re.findall(r"pid=(\d+)", two.run(two.host, "ss", "-Hltnp"))) == {str(master)}
    assert Path(f"/proc/{other}/comm").read_text() == "docker-proxy\n"
    for client, server in ends:
        works(client, server)
    pairs, whole = proxies.pairs()
    assert whole
    assert {pair.client[1] for pair in pairs} == {client.getsockname()[1] for client, _ in ends}
    for client, server in ends:
        client.shutdown(socket.SHUT_WR)
        assert server.recv(1) == b""
        server.sendall(b"last words")
        server.close()
        assert two.read_all(client) == b"last words"


def test_a_listener_that_goes_cuts_the_helpers_connections_too(two: Field) -> None:
    backend = two.backend()
    proxies = two.start(two.listener(), two.listener(81))
    going, staying = many(two, backend, 81), many(two, backend)
    proxies.remove(two.listener(81))
    for sock in (sock for pair in going for sock in pair):
        assert sock.recv(1) == b""
    for client, server in staying:
        works(client, server)
    proxies.add(two.listener(81))
    works(*two.through(backend, 81))


def test_a_killed_helper_takes_only_its_own_connections(two: Field) -> None:
    backend = two.backend()
    (master,) = two.start(two.listener()).pids()
    ends = many(two, backend)
    (other,) = children(master)
    lost = established(two)[other]
    os.kill(other, signal.SIGKILL)
    for client, server in ends:
        if client.getsockname()[1] in lost:
            assert client.recv(1) == b""
            assert server.recv(1) == b""
        else:
            works(client, server)
    for client, server in many(two, backend):
        works(client, server)
    two.until(lambda: len(children(master)) == 1, "the dead one is reaped")
    assert children(master) != [other]


@pytest.mark.parametrize("how", ["close", "kill"])
def test_the_helper_ends_with_the_proxy(two: Field, how: str) -> None:
    backend = two.backend()
    proxies = two.start(two.listener())
    (master,) = proxies.pids()
    ends = many(two, backend)
    (other,) = children(master)
    if how == "close":
        proxies.close()
        assert not Path(f"/proc/{other}").exists()
    else:
        os.kill(master, signal.SIGKILL)
    for sock in (sock for pair in ends for sock in pair):
        assert sock.recv(1) == b""


def test_an_error_in_the_helper_is_reported(two: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(helper, "_obey", fail)
    two.backend()
    proxies = two.start(two.listener())

    def connect_often() -> None:
        for _ in range(MANY):
            with contextlib.suppress(ConnectionError):  # the proxy ends with its helper
                two.connect()
            proxies.pairs()

    with pytest.raises(LabError, match=r"helper, process \d+, has died: RuntimeError: out of order"):
        connect_often()


@pytest.mark.parametrize("asked_before", [True, False])
def test_output_of_an_ended_program_is_kept_until_it_is_read(asked_before: bool) -> None:
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        if asked_before:
            ours.send(b"a request that nobody reads")
        its.send(b"failed\nRuntimeError: out of order")
        its.close()
        process = _Process("docker-proxy", 7, -1, ours, set())  # type: ignore[arg-type]
        with pytest.raises(LabError, match=r"docker-proxy \(pid 7\) has died: RuntimeError: out of order"):
            process.request("pairs", [])
