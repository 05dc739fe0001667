"""Datagrams through the proxy: one flow a client, as docker-proxy keeps them."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.proxy_field import Field

DGRAM = socket.SOCK_DGRAM


def ask(field: Field, address: str, *, fd: int | None = None, port: int = 53) -> socket.socket:
    """A client's connected UDP socket: it takes answers from the address asked, and from no other."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = field.open(field.client if fd is None else fd, family, DGRAM)
    sock.connect((address, port))
    return sock


def test_each_client_has_a_flow_of_its_own(any_proxy: Field) -> None:
    backend = any_proxy.backend(kind=DGRAM)
    any_proxy.start(any_proxy.listener(53, protocol="udp"))
    clients = [ask(any_proxy, any_proxy.host4) for _ in range(20)]
    for number, client in enumerate(clients):
        client.send(b"%d" % number)
    flows = {}
    for _ in clients:
        data, peer = backend.recvfrom(100)
        assert peer[0] == any_proxy.gateway4
        flows[peer] = data
    assert len(flows) == len(clients)
    for peer, data in flows.items():
        backend.sendto(b"to " + data, peer)
        backend.sendto(b"more", peer)
    for number, client in enumerate(clients):
        assert client.recv(100) == b"to %d" % number
        assert client.recv(100) == b"more"
        client.send(b"again")
        data, peer = backend.recvfrom(100)
        assert flows[peer] == b"%d" % number


@pytest.mark.parametrize("size", [1, 1472, 1473, 40000, 65507])
def test_sizes(any_proxy: Field, size: int) -> None:
    backend = any_proxy.backend(kind=DGRAM)
    any_proxy.start(any_proxy.listener(53, protocol="udp"))
    client = ask(any_proxy, any_proxy.host4)
    client.send(b"q" * size)
    data, peer = backend.recvfrom(65536)
    assert data == b"q" * size
    backend.sendto(b"a" * size, peer)
    assert client.recv(65536) == b"a" * size


def test_empty_datagrams_are_not_passed_on(any_proxy: Field) -> None:
    backend = any_proxy.backend(kind=DGRAM)
    any_proxy.start(any_proxy.listener(53, protocol="udp"))
    client = ask(any_proxy, any_proxy.host4)
    client.send(b"")
    client.send(b"something")
    assert backend.recv(100) == b"something"


def test_empty_answers_are_not_passed_on(any_proxy: Field) -> None:
    backend = any_proxy.backend(kind=DGRAM)
    any_proxy.start(any_proxy.listener(53, protocol="udp"))
    client = ask(any_proxy, any_proxy.host4)
    client.send(b"q")
    peer = backend.recvfrom(100)[1]
    backend.sendto(b"", peer)
    backend.sendto(b"something", peer)
    assert client.recv(100) == b"something"


def test_an_icmp_error_ends_a_flow_before_docker_28(any_generation: Field) -> None:
    """The server comes back, and the same client is served: from another port, or since 28 from the same."""
    field = any_generation
    backend = field.backend(kind=DGRAM)
    field.start(field.listener(53, protocol="udp", passed=field.passed))
    client = ask(field, field.host4)
    client.send(b"q")
    before = backend.recvfrom(100)[1]
    backend.sendto(b"a", before)
    assert client.recv(100) == b"a"
    backend.close()
    client.send(b"lost")
    field.until(lambda: _refused(field) == 1, "the container has sent an ICMP error")
    backend = field.backend(kind=DGRAM)
    backend.settimeout(0.1)
    peers: list[object] = []

    def served() -> bool:  # the first may be lost: docker-proxy's write may meet the error
        client.send(b"again")
        with contextlib.suppress(TimeoutError):
            peers.append(backend.recvfrom(100)[1])
        return len(peers) > 3 and (field.passed or peers[-1] != before)

    field.until(served, "an answer can be given")
    assert (before in peers[-2:]) == field.passed
    backend.sendto(b"a", peers[-1])  # type: ignore[arg-type]
    assert client.recv(100) == b"a"


def test_ipv6_client_and_ipv4_backend(any_proxy: Field) -> None:
    backend = any_proxy.backend(kind=DGRAM)
    any_proxy.start(any_proxy.listener(53, protocol="udp", address="::", v6only=True))
    client = ask(any_proxy, any_proxy.host6)
    client.send(b"q")
    data, peer = backend.recvfrom(100)
    assert (data, peer[0]) == (b"q", any_proxy.gateway4)
    backend.sendto(b"a", peer)
    assert client.recv(100) == b"a"


def test_backend_that_is_not_there_yet(any_proxy: Field) -> None:
    """The client gets no ICMP error, and is served as soon as there is a backend."""
    any_proxy.start(any_proxy.listener(53, protocol="udp"))
    client = ask(any_proxy, any_proxy.host4)
    client.send(b"lost")
    any_proxy.until(lambda: _refused(any_proxy) == 1, "the container has sent an ICMP error")
    backend = any_proxy.backend(kind=DGRAM)
    backend.settimeout(0.1)
    peer = None
    while peer is None:  # docker-proxy may meet the error of what was lost once more
        client.send(b"now")
        with contextlib.suppress(TimeoutError):
            _, peer = backend.recvfrom(100)
    backend.sendto(b"a", peer)
    assert client.recv(100) == b"a"


def _refused(field: Field) -> int:
    """Datagrams that found no socket in the container (RFC 4113, udpNoPorts)."""
    with field.inside(field.container):
        lines = Path("/proc/thread-self/net/snmp").read_text().splitlines()
    names, values = (line.split() for line in lines if line.startswith("Udp:"))
    return int(values[names.index("NoPorts")])


def test_answers_leave_from_another_address_before_docker_28(any_generation: Field) -> None:
    """A container asks an address that is not the host's nearest one: docker-proxy lets the kernel choose."""
    field = any_generation
    backend = field.backend(kind=DGRAM)
    field.start(field.listener(53, protocol="udp", passed=field.passed))
    field.ip(field.container, f"route add default via {field.gateway4}")
    client = field.open(field.container, socket.AF_INET, DGRAM)
    client.sendto(b"q", (field.host4, 53))
    peer = backend.recvfrom(100)[1]
    backend.sendto(b"a", peer)
    assert client.recvfrom(100) == (b"a", (field.host4 if field.passed else field.gateway4, 53))


@pytest.mark.parametrize("mode", ["shared", "per-port"])
@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_answers_leave_from_the_address_asked_since_docker_28(field: Field, mode: str, address: str) -> None:
    backend = field.backend(kind=DGRAM)
    v6only = True if address == "::" else None
    field.start(field.listener(53, protocol="udp", address=address, v6only=v6only, passed=True), mode=mode)
    asked, gateway = (field.host6, field.gateway6) if v6only else (field.host4, field.gateway4)
    field.ip(field.container, f"route add default via {gateway}")
    client = ask(field, asked, fd=field.container)
    client.send(b"q")
    peer = backend.recvfrom(100)[1]
    backend.sendto(b"a", peer)
    assert client.recv(100) == b"a"


def test_a_flow_ends_some_time_after_the_last_answer(field: Field) -> None:
    """Answers keep a flow, questions do not (docker-proxy's read deadline)."""
    backend = field.backend(kind=DGRAM)
    proxies = field.start(field.listener(53, protocol="udp"), udp_timeout=0.3)
    pid = proxies.pids()[0]
    idle = _sockets(pid)
    client = ask(field, field.host4)
    client.send(b"first")
    _, first = backend.recvfrom(100)
    seen = {first}

    def asked_anew() -> bool:
        client.send(b"next")
        seen.add(backend.recvfrom(100)[1])
        return len(seen) > 1

    field.until(asked_anew, "questions alone do not keep a flow")
    field.until(lambda: _sockets(pid) == idle, "the sockets of old flows are closed")


def _sockets(pid: int) -> int:
    """How many sockets a process has."""
    links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    return sum(link.startswith("socket:") for link in links)


def test_the_number_of_flows_is_bounded(field: Field) -> None:
    """The flow that was silent for longest makes room; one that is in use stays."""
    from netlab.proxy.loop import Loop
    from netlab.proxy.pairs import Pairs
    from netlab.proxy.spec import Spec
    from netlab.proxy.udp import UdpService

    backend = field.backend(kind=DGRAM)
    listener = field.open(field.host, kind=DGRAM)
    listener.bind((field.host4, 53))
    listener.setblocking(False)
    loop = Loop()
    spec = Spec("udp", field.host4, 53, None, (field.container4, 8000))
    with field.inside(field.host):
        service = UdpService(listener, spec, loop, Pairs(), limit=3)
        clients = [ask(field, field.host4) for _ in range(5)]
        peers = []
        for client in (*clients[:3], clients[0], *clients[3:]):
            client.send(b"q")
            field.turn(loop)
            peers.append(backend.recvfrom(100)[1])
            backend.sendto(b"a", peers[-1])
            field.turn(loop)
            assert client.recv(1) == b"a"
        assert peers[3] == peers[0]
        clients[0].send(b"still mine")
        field.turn(loop)
        assert backend.recvfrom(100)[1] == peers[0]
        clients[1].send(b"anew")
        field.turn(loop)
        assert backend.recvfrom(100)[1] not in peers
        service.close()
        loop.close_now()
