"""Message by message, tried on Unix sockets that keep messages apart as SCTP's do."""

from __future__ import annotations

import socket

from netlab.proxy import sctp
from netlab.proxy.loop import Loop


class Chain:
    """client = [ours | relay | ours] = backend."""

    def __init__(self) -> None:
        self.client, client = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.backend, backend = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for sock in (self.client, client, self.backend, backend):
            sock.setblocking(False)
        self.ours = client, backend
        self.open: set = set()
        self.loop = Loop()
        sctp.join(client, backend, self.loop, self.open)

    def turn(self) -> None:
        for fd, events in self.loop.epoll.poll(0):
            if fd in self.loop.handlers:
                self.loop.handlers[fd](events)
        again, self.loop.again = self.loop.again, []
        for resume in again:
            resume()
        self.loop.close_now()

    def close(self) -> None:
        for end in list(self.open):
            end()
        self.loop.close_now()
        for sock in (self.client, self.backend):
            sock.close()


def test_messages_keep_their_bounds_and_their_order() -> None:
    chain = Chain()
    for size in (1, 100, 65536, 7):
        chain.client.send(b"x" * size)
        chain.turn()
        assert chain.backend.recv(1 << 17) == b"x" * size
        chain.backend.send(b"y" * size)
        chain.turn()
        assert chain.client.recv(1 << 17) == b"y" * size
    chain.close()


def test_a_slow_reader_gets_everything() -> None:
    chain = Chain()
    sent = 0
    idle = 0
    while idle < 3:
        try:
            chain.client.send(b"%d" % sent)
            sent += 1
            idle = 0
        except BlockingIOError:
            idle += 1
        chain.turn()
    got = 0
    while got < sent:
        try:
            assert chain.backend.recv(100) == b"%d" % got
            got += 1
        except BlockingIOError:
            chain.turn()
    chain.close()


def test_the_end_of_one_side_ends_both() -> None:
    chain = Chain()
    chain.client.send(b"last words")
    chain.client.close()
    chain.turn()
    chain.turn()
    assert chain.backend.recv(100) == b"last words"
    assert chain.backend.recv(100) == b""
    assert not chain.open
    assert [sock.fileno() for sock in chain.ours] == [-1, -1]
    chain.close()
