"""The control protocol: whole messages, descriptors beside them, and no patience with nonsense."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from netlab.kernel.channel import MAX_FDS, Channel, Disconnected


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    one, two = map(Channel, socket.socketpair())
    yield one, two
    one.close()
    two.close()


def test_messages_arrive_whole_and_in_order(ends: tuple[Channel, Channel]) -> None:
    for number in range(5):
        ends[0].send({"number": number, "text": "ä\n" * number})
    assert [ends[1].receive()[0]["number"] for _ in range(5)] == list(range(5))


def test_descriptors_come_with_their_message(ends: tuple[Channel, Channel]) -> None:
    pipes = [os.pipe() for _ in range(3)]
    ends[0].send({"first": 1}, [pipes[0][1], pipes[1][1]])
    ends[0].send({"none": 1})
    ends[0].send({"second": 1}, [pipes[2][1]])
    (_, first), (_, none), (_, second) = (ends[1].receive() for _ in range(3))
    assert (len(first), none, len(second)) == (2, [], 1)
    for (read, write), fd in zip(pipes, first + second, strict=True):
        assert not os.get_inheritable(fd)
        os.write(fd, b"x")
        assert os.read(read, 1) == b"x"
        for one in (read, write, fd):
            os.close(one)


def test_as_many_descriptors_as_a_message_may_bring(ends: tuple[Channel, Channel]) -> None:
    ends[0].send({}, [0] * MAX_FDS)
    _, fds = ends[1].receive()
    assert len(fds) == MAX_FDS
    for fd in fds:
        os.close(fd)


def test_what_does_not_fit_waits(ends: tuple[Channel, Channel]) -> None:
    ends[0].sock.setblocking(False)
    ends[0].send({"text": "x" * 3_000_000})
    assert not ends[0].flush()
    ends[1].sock.setblocking(False)
    while not (found := ends[1].take()):
        ends[0].flush()
        ends[1].fill()
    assert len(found[0]["text"]) == 3_000_000


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b'{"fds": 1}\n', b'{"fds": "x"}\n', b"\xff\xfe\n"])
def test_nonsense_ends_the_conversation(ends: tuple[Channel, Channel], line: bytes) -> None:
    ends[0].sock.sendall(line)
    with pytest.raises(Disconnected):
        ends[1].receive()


def test_the_end_of_the_other_side_is_reported(ends: tuple[Channel, Channel]) -> None:
    ends[0].sock.shutdown(socket.SHUT_WR)
    with pytest.raises(Disconnected):
        ends[1].receive()
    ends[1].close()
    with pytest.raises(Disconnected):
        ends[0].send({"text": "x"})


def test_descriptors_that_nobody_took_are_closed() -> None:
    one, two = map(Channel, socket.socketpair())
    read, write = os.pipe()
    one.send({}, [write])
    os.close(write)
    two.fill()
    two.close()
    one.close()
    assert os.read(read, 1) == b""
    os.close(read)
