"""What a client and a server see of a proxied TCP connection: the same with ours and with docker-proxy."""

from __future__ import annotations

import hashlib
import random
import select
import socket
import struct
import threading
from typing import TYPE_CHECKING

import pytest

from netlab.proxy import pipes

if TYPE_CHECKING:
    from support.proxy_field import Field


def reset(sock: socket.socket) -> None:
    """Close with a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def test_the_server_sees_the_gateway(any_proxy: Field) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    client, server = any_proxy.through(backend)
    assert server.getpeername()[0] == any_proxy.gateway4
    client.sendall(b"question")
    assert server.recv(100) == b"question"
    server.sendall(b"answer")
    assert client.recv(100) == b"answer"


@pytest.mark.parametrize("first", ["client", "server"])
def test_half_close(any_proxy: Field, first: str) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    one, other = any_proxy.through(backend)
    if first == "server":
        one, other = other, one
    one.sendall(b"all that I have to say")
    one.shutdown(socket.SHUT_WR)
    assert any_proxy.read_all(other) == b"all that I have to say"
    for part in (b"and now", b"the other side"):
        other.sendall(part)
        assert one.recv(100) == part
    other.close()
    assert one.recv(100) == b""


@pytest.mark.parametrize("first", ["client", "server"])
def test_a_reset_becomes_an_end_of_stream(any_proxy: Field, first: str) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    one, other = any_proxy.through(backend)
    if first == "server":
        one, other = other, one
    one.sendall(b"x")
    assert other.recv(1) == b"x"
    reset(one)
    assert other.recv(1) == b""


def test_data_nobody_takes_ends_in_a_reset(any_proxy: Field) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    client, server = any_proxy.through(backend)
    reset(server)
    assert client.recv(1) == b""
    with pytest.raises(OSError, match=r"reset|pipe"):
        client.sendall(bytes(256 * 1024 * 1024))


def test_a_reset_in_the_middle_of_a_transfer_stops_the_sender(any_proxy: Field) -> None:
    """The sender gets a reset once its data can no longer be delivered."""
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    for turned in (False, True):
        one, other = any_proxy.through(backend)
        if turned:
            one, other = other, one
        sender = threading.Thread(target=reset_after, args=(one, 1 << 20))
        sender.start()
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            other.sendall(bytes(256 * 1024 * 1024))
        sender.join()


def reset_after(sock: socket.socket, count: int) -> None:
    """Read so many bytes, then close with a reset."""
    while count > 0:
        count -= len(sock.recv(65536))
    reset(sock)


def test_what_a_dying_server_sent_arrives_and_then_the_end(any_proxy: Field) -> None:
    """The reset comes after the data, and is the end of the stream for the client, not an error."""
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    data = random.Random(5).randbytes(100_000)
    client, server = any_proxy.through(backend)
    server.sendall(data)
    got = bytearray()
    while len(got) < len(data):
        got += client.recv(65536)
    reset(server)
    assert bytes(got) == data
    assert client.recv(1) == b""


def test_ends_of_both_sides_cross(any_proxy: Field) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    ends = any_proxy.through(backend)
    for sock in ends:
        sock.sendall(b"farewell")
        sock.shutdown(socket.SHUT_WR)
    assert [any_proxy.read_all(sock) for sock in ends] == [b"farewell"] * 2


def test_the_last_words_are_not_held_back(any_proxy: Field) -> None:
    """Data and end of stream in one packet, in many sizes: all of it arrives, then the end."""
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    for size in (1, 1000, 16383, 16384, 16385, 200_000):
        client, server = any_proxy.through(backend)
        data = random.Random(size).randbytes(size)
        server.sendall(data)
        server.close()
        assert any_proxy.read_all(client) == data
        client.sendall(b"too late")


def test_backend_refuses(any_proxy: Field) -> None:
    """The client is connected, then gets an end of stream."""
    any_proxy.start(any_proxy.listener())
    assert any_proxy.connect().recv(1) == b""


def test_backend_unreachable(any_proxy: Field) -> None:
    any_proxy.ip(any_proxy.host, f"route add unreachable {any_proxy.container4}/32")
    any_proxy.start(any_proxy.listener())
    assert any_proxy.connect().recv(1) == b""


def test_backend_vanishes_and_returns(any_proxy: Field) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    client, server = any_proxy.through(backend)
    backend.close()
    reset(server)
    assert client.recv(1) == b""
    assert any_proxy.connect().recv(1) == b""
    backend = any_proxy.backend()
    client, server = any_proxy.through(backend)
    client.sendall(b"again")
    assert server.recv(5) == b"again"


def test_huge_transfer_both_ways_at_once(any_proxy: Field) -> None:
    both_ways(any_proxy)


@pytest.mark.parametrize("limit", [0, 1])
def test_transfers_without_enough_pipes(field: Field, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    """What finds no pipe is copied, and nothing is taken that the other side does not take."""
    monkeypatch.setattr(pipes, "LIMIT", limit)  # the proxy is a fork of this process
    both_ways(field)


def both_ways(field: Field) -> None:
    backend = field.backend()
    field.start(field.listener())
    ends = field.through(backend)
    chunk = random.Random(1).randbytes(1 << 20)
    total = 48
    want = hashlib.sha256(chunk * total).hexdigest()
    got: dict[int, str] = {}

    def send(sock: socket.socket) -> None:
        for _ in range(total):
            sock.sendall(chunk)
        sock.shutdown(socket.SHUT_WR)

    def receive(number: int) -> None:
        digest = hashlib.sha256()
        while part := ends[number].recv(1 << 18):
            digest.update(part)
        got[number] = digest.hexdigest()

    threads = [threading.Thread(target=send, args=(sock,)) for sock in ends]
    threads += [threading.Thread(target=receive, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == {0: want, 1: want}


def test_pieces_of_every_size_arrive_in_order(any_proxy: Field) -> None:
    """Sizes around every threshold of the copying: one byte, a small buffer, a pipe."""
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    client, server = any_proxy.through(backend)
    chooser = random.Random(2)
    for size in (1, 100, 16383, 16384, 16385, 65536, 131073, 1048576, 1048577, 3000000, 7):
        data = chooser.randbytes(size)
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        got = bytearray()
        while len(got) < size:
            got += server.recv(1 << 20)
        sender.join()
        assert bytes(got) == data
        server.sendall(b"ok")
        assert client.recv(2) == b"ok"


def test_a_slow_reader_does_not_stop_others(any_proxy: Field) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    slow, its_server = any_proxy.through(backend)
    its_server.setblocking(False)
    sent = 0  # until nothing moves any more: every buffer on the way is full
    data = random.Random(3).randbytes(1 << 20)
    while select.select([], [its_server], [], 0.2)[1]:
        sent += its_server.send(data[sent % len(data) :])
    client, server = any_proxy.through(backend)
    server.sendall(b"quick")
    assert client.recv(5) == b"quick"
    its_server.close()
    whole = any_proxy.read_all(slow)
    assert len(whole) == sent
    assert whole == (data * (sent // len(data) + 1))[:sent]


def test_many_connections_at_once(any_proxy: Field) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener())
    clients = [any_proxy.connect() for _ in range(200)]
    servers = {}
    for client in clients:
        client.sendall(b"%d\n" % client.getsockname()[1])
    for _ in clients:
        server = any_proxy.accept(backend)
        servers[int(server.makefile("rb").readline())] = server
    for client in clients:
        port = client.getsockname()[1]
        servers[port].sendall(b"%d" % port)
        servers[port].close()
    for client in clients:
        assert any_proxy.read_all(client) == b"%d" % client.getsockname()[1]


def test_families(any_proxy: Field) -> None:
    """An IPv6 client reaches an IPv4 backend, and an IPv6 backend is reached from the IPv6 gateway."""
    backend4, backend6 = any_proxy.backend(), any_proxy.backend(8006, address=any_proxy.container6)
    any_proxy.start(
        any_proxy.listener(),
        any_proxy.listener(address="::", v6only=True),
        any_proxy.listener(81, 8006, address="::", v6only=True, backend=any_proxy.container6),
    )
    for port, address, backend, seen in (
        (80, any_proxy.host4, backend4, any_proxy.gateway4),
        (80, any_proxy.host6, backend4, any_proxy.gateway4),
        (81, any_proxy.host6, backend6, any_proxy.gateway6),
    ):
        client = any_proxy.connect(port, address)
        server = any_proxy.accept(backend)
        assert server.getpeername()[0] == seen
        server.sendall(b"here")
        assert client.recv(4) == b"here"
    with pytest.raises(ConnectionRefusedError):
        any_proxy.connect(81, any_proxy.host4)


def test_dual_stack(field: Field) -> None:
    """Docker 19.03: one socket for both families."""
    backend = field.backend()
    proxies = field.start(field.listener(address="::", v6only=False))
    for address in (field.host4, field.host6):
        client = field.connect(80, address)
        server = field.accept(backend)
        server.sendall(b"here")
        assert client.recv(4) == b"here"
    pairs, _ = proxies.pairs()
    assert pairs[0].client[0] == field.client4
    assert pairs[0].asked == (field.host4, 80)


def test_specific_address(any_proxy: Field) -> None:
    backend = any_proxy.backend()
    any_proxy.start(any_proxy.listener(address=any_proxy.host4))
    assert any_proxy.through(backend)
    with pytest.raises(ConnectionRefusedError):
        any_proxy.connect(80, any_proxy.gateway4, fd=any_proxy.host)
