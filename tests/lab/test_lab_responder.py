"""The built-in servers: they say whom they saw, over every family and protocol, and nobody holds them up."""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import netns, process
from netlab.kernel.netlink import dump, message
from netlab.kernel.netlink.socket import RTNLGRP_IPV6_ROUTE, RouteSocket
from netlab.lab.services import dns
from netlab.lab.services import responder as module
from netlab.lab.services.responder import Responder
from netlab.model.errors import LabError
from netlab.model.reply import Reply, parse_reply

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="a part alone, in a namespace that only root can make"
)

PATIENCE = 60.0
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


def test_a_protocol_that_the_kernel_lacks_is_a_warning(place: Field) -> None:
    problems = Responder().open([(place.namespace, [("sctp", 9, "web", "shop")])])
    if has_sctp():
        assert problems == []
    else:
        assert problems == ["this kernel has no SCTP: nothing answers on 9/sctp of web"]


# ── what containers may send ──────────────────────────────────────────────────────────────────────────────

ADDRESS = "127.0.0.11"
ZONE = {
    "zones": {
        "h/nw": [
            "nw",
            {"app": [f"10.0.{n >> 8}.{n & 255}" for n in range(2, 900)]},
            {"10.0.0.2": "app.nw"},
            False,
        ]
    },
    "servers": {dns.key_of("web", ADDRESS): ["docker", "h", ["h/nw"], [], False]},
    "members": {},
}


@pytest.fixture
def resolving(place: Field, tmp_path: Path) -> Field:
    """The field with Docker's DNS server of ``web``, on its two ports."""
    (tmp_path / dns.FILE).write_text(json.dumps(ZONE))
    place.responder.servers = dns.Servers(str(tmp_path))
    entries = [(f"dns/{protocol}/{ADDRESS}", 5353, "web", "DNS") for protocol in ("udp", "tcp")]
    assert place.responder.open([(place.namespace, entries)]) == []
    return place


def question(*labels: bytes, kind: int = 1) -> bytes:
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", kind, 1)


def mutants(count: int) -> Iterator[bytes]:
    """Queries and requests with a few octets changed, cut off, or put together."""
    chance = random.Random(5)
    seeds = [
        question(b"app"),
        question(b"2", b"0", b"0", b"10", b"in-addr", b"arpa", kind=12),
        question(b"2\0", b"in-addr", b"arpa", kind=12),
        question(*[b"f"] * 32, b"ip6", b"arpa", kind=12),
        b"GET /token HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 300,
        b"",
    ]
    for _ in range(count):
        octets = bytearray(chance.choice(seeds) + chance.choice([b"", b"", chance.choice(seeds)]))
        for _ in range(chance.randrange(5) if octets else 0):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        yield bytes(octets[: chance.randrange(len(octets) + 1)] if chance.random() < 0.2 else octets)


def is_answered(field: Field) -> bool:
    """Whether a good query is; the kernel may drop some, where it comes behind a flood of bad ones."""
    end = time.monotonic() + PATIENCE
    with field.socket(ADDRESS, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect((ADDRESS, 5353))
        while time.monotonic() < end:
            client.send(question(b"app"))
            with contextlib.suppress(TimeoutError):
                return client.recv(512)[:2] == b"\0\7"
    return False


def still_answers(field: Field) -> None:
    assert field.thread.is_alive()
    assert field.responder.errors == 0
    assert is_answered(field)
    assert field.ask("127.0.0.1", b"GET / HTTP/1.0\r\n\r\n")[0] is not None


def test_no_datagram_hurts(resolving: Field) -> None:
    with resolving.socket(ADDRESS, socket.SOCK_DGRAM) as client:
        for octets in mutants(4000):
            client.sendto(octets, (ADDRESS, 5353))
            client.sendto(octets, ("127.0.0.1", 53))
    still_answers(resolving)


@pytest.mark.parametrize("port", [5353, 80])
def test_no_stream_hurts(resolving: Field, port: int) -> None:
    for number, octets in enumerate(mutants(400)):
        with resolving.connect(ADDRESS, port) as client:
            length = len(octets).to_bytes(2, "big") if port == 5353 and number % 4 else b""
            with contextlib.suppress(ConnectionError):
                client.sendall(length + octets + length + octets)
                if number % 2:
                    client.shutdown(socket.SHUT_WR)
    still_answers(resolving)


def test_queries_in_a_row_are_answered_in_a_row_and_no_faster_than_they_are_taken(resolving: Field) -> None:
    one = question(b"app")
    count = 2000  # of 14 KiB each
    with resolving.connect(ADDRESS, 5353) as client:
        sender = threading.Thread(target=client.sendall, args=((len(one).to_bytes(2, "big") + one) * count,))
        sender.start()
        with resolving.connect(ADDRESS, 5353) as other:  # is served all the same
            other.sendall(len(one).to_bytes(2, "big") + one)
            assert other.recv(2)
        served = next(iter(resolving.responder.clients.values()))
        assert len(served.output) + len(served.received) < 1 << 17
        received = 0
        for _ in range(count):
            length = int.from_bytes(exactly(client, 2), "big")
            received += len(exactly(client, length))
        sender.join()
    assert received > count * 14_000


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        assert piece
        data += piece
    return data


def test_a_bug_costs_the_datagram_or_the_connection(
    resolving: Field, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = dns.Server.answer

    def buggy(self: dns.Server, query: bytes, limit: int = 0, *, asker: str = "") -> bytes | None:
        if b"bug" in query:
            raise LookupError("seven")
        return answer(self, query, limit, asker=asker)

    monkeypatch.setattr(dns.Server, "answer", buggy)
    bad = question(b"bug")
    with resolving.socket(ADDRESS, socket.SOCK_DGRAM) as client:
        client.connect((ADDRESS, 5353))
        for _ in range(2 * module.TOLD):
            client.send(bad)
    assert is_answered(resolving)
    with resolving.connect(ADDRESS, 5353) as connection:
        connection.sendall(len(bad).to_bytes(2, "big") + bad)
        assert everything(connection) == b""
    assert is_answered(resolving)  # so the error before is counted
    assert resolving.responder.errors == 2 * module.TOLD + 1
    assert capsys.readouterr().err.count("LookupError: seven") == module.TOLD
