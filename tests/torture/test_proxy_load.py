"""The userland proxy under load: every byte arrives, memory stays bounded, every descriptor is closed again.

Five thousand slow readers are a test of the suite already (tests/lab/proxy); here is what is rude.
"""

from __future__ import annotations

import os
import random
import select
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.slow_readers import EACH, descriptors, peak, slow_readers

from .conftest import Scale

__all__ = ["descriptors"]
BLOCK = random.Random(11).randbytes(40_000)
#: Octets of the proxy's own memory that a connection may take at its height.
A_CONNECTION = 24 * 1024


@pytest.fixture
def echoing(field: Any) -> Iterator[Any]:
    """A server in the container that sends everything back, until the client's end of stream."""
    backend = field.backend()
    server = os.fork()
    if server == 0:
        _echo(backend)
    yield field
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)


def _echo(backend: socket.socket) -> None:
    backend.setblocking(False)
    poll = select.epoll()
    poll.register(backend.fileno(), select.EPOLLIN)
    clients: dict[int, tuple[socket.socket, bytearray]] = {}
    ended: set[int] = set()
    while True:
        for fd, mask in poll.poll():
            if fd == backend.fileno():
                sock, _ = backend.accept()
                sock.setblocking(False)
                clients[sock.fileno()] = (sock, bytearray())
                poll.register(sock.fileno(), select.EPOLLIN)
                continue
            sock, waiting = clients[fd]
            try:
                if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR) and fd not in ended:
                    data = sock.recv(65536)
                    waiting += data
                    if not data:
                        ended.add(fd)
                if waiting:
                    del waiting[: sock.send(waiting)]
            except BlockingIOError:
                pass
            except OSError:
                waiting.clear()
                ended.add(fd)
            if fd in ended and not waiting:
                del clients[fd]
                ended.discard(fd)
                sock.close()
            else:
                wanted = (0 if fd in ended else select.EPOLLIN) | (select.EPOLLOUT if waiting else 0)
                poll.modify(fd, wanted)


def _exchange(clients: list[socket.socket]) -> int:
    """Send BLOCK on every connection and compare what comes back; how many octets were compared."""
    poll = select.epoll()
    out = {client.fileno(): memoryview(BLOCK) for client in clients}
    back = dict.fromkeys(out, 0)
    sockets = {client.fileno(): client for client in clients}
    for fd, client in sockets.items():
        client.setblocking(False)
        poll.register(fd, select.EPOLLIN | select.EPOLLOUT)
    compared = 0
    while sockets:
        events = poll.poll(60)
        assert events, f"{len(sockets)} connections stand still"
        for fd, mask in events:
            client = sockets[fd]
            if mask & select.EPOLLOUT and out[fd]:
                out[fd] = out[fd][client.send(out[fd]) :]
                if not out[fd]:
                    client.shutdown(socket.SHUT_WR)  # a half-open peer: it still reads
                    poll.modify(fd, select.EPOLLIN)
            if mask & (select.EPOLLIN | select.EPOLLHUP):
                data = client.recv(65536)
                assert data == BLOCK[back[fd] : back[fd] + len(data)]
                back[fd] += len(data)
                compared += len(data)
                if not data:
                    assert back[fd] == len(BLOCK)
                    poll.unregister(fd)
                    del sockets[fd]
                    client.close()
    return compared


def test_half_open_and_resets(
    echoing: Any, descriptors: None, scale: Scale, figure: Callable[[str], None]
) -> None:
    """A third is reset half-way, a third never says a word, a third sends, closes its side and reads all."""
    count = scale(300, 5000)
    pid = echoing.start(echoing.listener()).pids()[0]
    before = peak(pid)
    clients = [echoing.connect(80) for _ in range(count)]
    rude, silent, polite = clients[0::3], clients[1::3], clients[2::3]
    for client in rude:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
        client.sendall(BLOCK[:1000])
        client.close()  # a reset
    compared = _exchange(polite)
    for client in silent:
        client.close()
    grown = peak(pid) - before
    assert compared == len(polite) * len(BLOCK)
    assert grown < count * A_CONNECTION
    echoing.until(lambda: len(os.listdir(f"/proc/{pid}/fd")) < 40, "all is closed")
    figure(
        f"{count} connections, {len(rude)} reset, {compared:,} octets equal, {grown / 1024:.0f} KiB at most"
    )


def test_a_flood_of_udp_clients(
    field: Any, descriptors: None, scale: Scale, figure: Callable[[str], None]
) -> None:
    """More clients than flows: the proxy's memory and descriptors stay bounded, and it still answers."""
    count = scale(500, 20_000)
    backend = field.backend(kind=socket.SOCK_DGRAM)
    backend.setblocking(False)
    pid = field.start(field.listener(protocol="udp"), udp_timeout=2.0).pids()[0]
    before = peak(pid)
    most = 0
    with field.inside(field.client):
        for number in range(count):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.sendto(b"%d" % number, (field.host4, 80))
            if number % 100 == 0:
                most = max(most, len(os.listdir(f"/proc/{pid}/fd")))
                _discard(backend)
    _discard(backend)
    last = field.open(field.client, kind=socket.SOCK_DGRAM)
    last.connect((field.host4, 80))

    def answered() -> bool:
        last.send(b"are you there")
        if not select.select([backend], [], [], 1)[0]:
            return False
        data, peer = backend.recvfrom(100)
        backend.sendto(data, peer)
        return data == b"are you there"

    field.until(answered, "the proxy answers after the flood")
    assert last.recv(100) == b"are you there"
    grown = peak(pid) - before
    assert grown < 64 << 20
    field.until(lambda: len(os.listdir(f"/proc/{pid}/fd")) < 40, "silent flows are closed")
    figure(f"{count} UDP clients: at most {most} descriptors and {grown / 1024:.0f} KiB, and it answers")


def _discard(backend: socket.socket) -> None:
    while select.select([backend], [], [], 0)[0]:
        backend.recv(100)


def test_slow_readers(
    field: Any,
    descriptors: None,
    scale: Scale,
    figure: Callable[[str], None],
) -> None:
    """The suite's own test, with its figure said."""
    count = scale(500, 5000)
    slow_readers(field, count)
    figure(f"{count} slow readers at once: {count * EACH:,} octets equal, memory bounded")
