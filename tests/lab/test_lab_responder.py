"""The built-in servers: they say whom they saw, over every family and protocol, and nobody holds them up."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from netlab.kernel import dump, message, netns, process
from netlab.kernel.netlink import RTNLGRP_IPV6_ROUTE, RouteSocket
from netlab.lab import responder as module
from netlab.lab.responder import Responder
from netlab.model.errors import LabError
from netlab.model.reply import Reply, parse_reply

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a part alone, in a namespace that only root can make"
)

PATIENCE = 30.0
SECOND = "198.51.100.7"


class Field:
    """A namespace with two addresses of each family on its loopback; a responder runs in a thread."""

    def __init__(self) -> None:
        self.namespace = netns.create()
        with netns.entered(self.namespace):
            for words in (
                "link set lo up",
                f"addr add {SECOND}/32 dev lo",
                "addr add 2001:db8::7/128 dev lo nodad",
            ):
                assert process.run(["ip", *words.split()]).code == 0
            self._until_usable("2001:db8::7")
        self.responder = Responder()
        entries = [("tcp", 80, "web", "shop"), ("udp", 53, "web", "shop"), ("tcp", 81, "other", "bank")]
        assert self.responder.open([(self.namespace, entries)]) == []
        read, self.stopping = os.pipe()
        self.thread = threading.Thread(target=self.responder.run, args=(read,))
        self.thread.start()
        self.read = read

    @staticmethod
    def _until_usable(address: str) -> None:
        """The kernel has a work queue make an IPv6 address an address of the host; nodad or not."""
        with RouteSocket() as news, RouteSocket() as asked:
            news.join(RTNLGRP_IPV6_ROUTE)
            request = [message.get_route(address, 1)]
            while not all(map(dump.is_local, asked.ask(request))):
                assert select.select([news], [], [], PATIENCE)[0], f"{address} cannot be used"
                news.discard()

    def socket(self, address: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with netns.entered(self.namespace):
            made = socket.socket(family, kind)
        made.settimeout(PATIENCE)
        return made

    def connect(self, address: str, port: int = 80) -> socket.socket:
        made = self.socket(address)
        made.connect((address, port))
        return made

    def ask(self, address: str, request: bytes, port: int = 80) -> tuple[Reply | None, tuple[str, int]]:
        with self.connect(address, port) as connection:
            connection.sendall(request)
            return parse_reply(everything(connection)), connection.getsockname()[:2]

    def close(self) -> None:
        os.write(self.stopping, b"x")
        self.thread.join()
        for fd in (self.read, self.stopping, self.namespace):
            os.close(fd)


def everything(connection: socket.socket) -> bytes:
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM, module.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


@pytest.fixture
def place() -> Iterator[Field]:
    made = Field()
    yield made
    made.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", SECOND, "2001:db8::7"])
def test_http_says_who_answered_whom(place: Field, address: str) -> None:
    reply, own = place.ask(address, b"GET /my-token HTTP/1.1\r\nHost: x\r\n\r\n")
    assert reply == Reply("web", "shop", own[0], own[1], address, 80, "my-token")
    other, _ = place.ask(address, b"plain words\n", 81)
    assert other is not None
    assert (other.node, other.service, other.token) == ("other", "bank", "plain words")


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", SECOND, "2001:db8::7"])
def test_a_datagram_is_answered_from_the_address_that_was_asked(place: Field, address: str) -> None:
    with place.socket(address, socket.SOCK_DGRAM) as client:
        client.connect((address, 53))  # so only an answer from there is taken
        client.send(b"token-1")
        reply = parse_reply(client.recv(65536))
        assert reply == Reply("web", "shop", *client.getsockname()[:2], address, 53, "token-1")


def test_an_empty_and_a_huge_datagram_are_answered(place: Field) -> None:
    with place.socket("127.0.0.1", socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", 53))
        for request in (b"", b"\xff" * 65000):
            client.send(request)
            reply = parse_reply(client.recv(65536))
            assert reply is not None
            assert len(reply.token) <= 256


def test_a_request_in_single_bytes_is_answered_once_it_is_whole(place: Field) -> None:
    with place.connect("127.0.0.1") as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /slow HTTP/1.0\r\nA: b\r\n\r\n":
            slow.send(bytes([byte]))
        reply = parse_reply(everything(slow))
        assert reply is not None
        assert reply.token == "slow"


def test_the_end_of_what_a_client_says_ends_its_request(place: Field) -> None:
    with place.connect("127.0.0.1") as client:
        client.sendall(b"no newline")
        client.shutdown(socket.SHUT_WR)
        reply = parse_reply(everything(client))
        assert reply is not None
        assert reply.token == "no newline"
    with place.connect("127.0.0.1") as silent:
        silent.shutdown(socket.SHUT_WR)
        assert everything(silent) == b""


def test_idle_half_open_and_resetting_clients_hold_nobody_up(place: Field) -> None:
    idle = [place.connect("127.0.0.1") for _ in range(200)]
    for client in idle[::2]:
        client.sendall(b"GET / HTTP/1.1\r\n")  # and no more
    for client in idle[::5]:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    reply, _ = place.ask("127.0.0.1", b"hello\n")
    assert reply is not None
    for client in idle:
        client.close()


def test_a_client_that_never_stops_sending_is_cut_off(place: Field) -> None:
    with place.connect("127.0.0.1") as flood:
        flood.sendall(b"x" * module.REQUEST)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            flood.sendall(b"y" * (64 << 20))
    reply, _ = place.ask("127.0.0.1", b"hello\n")
    assert reply is not None


def test_the_reply_is_read_whole_though_the_client_sent_more_than_was_asked_for(place: Field) -> None:
    body = b"POST /upload HTTP/1.1\r\nContent-Length: 200000\r\n\r\n" + b"z" * 200_000
    reply, _ = place.ask("127.0.0.1", body)
    assert reply is not None
    assert reply.token == "upload"


def test_whoever_waits_longest_goes_first_where_there_are_too_many(
    place: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CLIENTS", 20)
    idle = [place.connect("127.0.0.1") for _ in range(40)]
    assert everything(idle[0]) == b""
    idle[-1].sendall(b"still here\n")
    assert parse_reply(everything(idle[-1])) is not None
    for client in idle:
        client.close()


def test_patience_ends(place: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with place.connect("127.0.0.1") as idle:
        poll = select.poll()
        poll.register(idle, select.POLLIN)
        assert poll.poll(PATIENCE * 1000)
        assert idle.recv(1) == b""


def test_a_taken_port_is_an_error_that_names_it(place: Field) -> None:
    with pytest.raises(LabError, match="bank cannot listen on 80/tcp in other: Address already in use"):
        Responder().open([(place.namespace, [("tcp", 80, "other", "bank")])])


def test_a_protocol_that_the_kernel_lacks_is_told_and_no_error(place: Field) -> None:
    told = Responder().open([(place.namespace, [("sctp", 9, "web", "shop")])])
    if has_sctp():
        assert told == []
    else:
        assert told == ["this kernel has no SCTP: nothing answers on 9/sctp of web"]
