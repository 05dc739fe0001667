"""Thousands of connections at once whose clients read late: every byte arrives, memory is bounded."""

from __future__ import annotations

import os
import random
import resource
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.proxy_field import Field

#: The most connections at once.
CONNECTIONS = 5000
#: Bytes for each client: more than its socket and the proxy's towards it take while nobody reads.
EACH = 150_000
#: A client's receive buffer, bytes.
SMALL = 16384
PATTERN = random.Random(7).randbytes(1 << 16) * (EACH // (1 << 16) + 2)


@pytest.fixture
def descriptors() -> Iterator[None]:
    """As many as the machine lets: both ends of each connection are in this process and its child."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    assert before[1] > 3 * CONNECTIONS
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def part_of(number: int) -> memoryview:
    """What connection ``number`` is sent: its own offset in the pattern."""
    return memoryview(PATTERN)[number % 65521 : number % 65521 + EACH]


def serve(backend: socket.socket) -> None:
    """Read the number that a client sends, and send it its part; all at once, never waiting for one."""
    poll = select.epoll()
    poll.register(backend.fileno(), select.EPOLLIN)
    sockets: dict[int, socket.socket] = {}
    left: dict[int, memoryview] = {}
    while True:
        for fd, _ in poll.poll():
            if fd == backend.fileno():
                sock, _ = backend.accept()
                sock.setblocking(False)
                sockets[sock.fileno()] = sock
                poll.register(sock.fileno(), select.EPOLLIN)
            elif fd not in left:
                left[fd] = part_of(int(sockets[fd].recv(100)))
                poll.modify(fd, select.EPOLLOUT)
            else:
                left[fd] = left[fd][sockets[fd].send(left[fd]) :]
                if not left[fd]:
                    sockets.pop(fd).close()
                    del left[fd]


def peak(pid: int) -> int:
    """The most memory that the process ever had, bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def helpers(pid: int) -> list[int]:
    """The processes that help a proxy with its connections."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def read_and_compare(clients: list[socket.socket]) -> None:
    """Read all clients to their end, whichever has something."""
    poll = select.epoll()
    left = {client.fileno(): (client, part_of(number)) for number, client in enumerate(clients)}
    for fd in left:
        poll.register(fd, select.EPOLLIN)
    while left:
        events = poll.poll(60)
        assert events, f"{len(left)} connections stand still"
        for fd, _ in events:
            client, expected = left[fd]
            data = client.recv(SMALL)
            assert data == expected[: len(data)]
            left[fd] = client, expected[len(data) :]
            if not data:
                assert not expected
                del left[fd]
                client.close()


def slow_readers(field: Field, connections: int) -> None:
    """Open so many connections, read them late, and look at what arrived and at the proxy's memory."""
    backend = field.backend()
    server = os.fork()
    if server == 0:
        serve(backend)
    try:
        pid = field.start(field.listener()).pids()[0]
        before = peak(pid)
        clients = []
        for number in range(connections):
            client = field.open(field.client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
            client.connect((field.host4, 80))
            client.sendall(b"%d" % number)
            clients.append(client)
        field.until(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "S", "all stand still")
        read_and_compare(clients)
        # At most one small buffer each, and what Python needs; the rest is in the kernel's socket buffers.
        for one in (pid, *helpers(pid)):
            assert peak(one) - before < connections * 24 * 1024
            field.until(lambda one=one: len(os.listdir(f"/proc/{one}/fd")) < 40, "all is closed")  # type: ignore[misc]
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)
