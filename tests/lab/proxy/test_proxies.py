"""The processes: their names, what can be changed live, what is reported, how they end."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from netlab.lab.services.proxies import Proxies
from netlab.model.errors import LabError

if TYPE_CHECKING:
    from support.proxy_field import Field


def test_tools_show_docker_proxy(any_proxy: Field) -> None:
    listener = any_proxy.listener()
    proxies = any_proxy.start(listener, any_proxy.listener(82, backend=None))
    held, pid = proxies.pids()
    for tool, mine, dockerd in (
        (("ss", "-ltnp"), f'users:(("docker-proxy",pid={pid},fd=', f'users:(("dockerd",pid={held},fd='),
        (("netstat", "-ltnp"), f"{pid}/docker-proxy", f"{held}/dockerd"),
        (("lsof", "-nP", "-iTCP", "-sTCP:LISTEN", "+c0"), f"docker-proxy {pid}", f"dockerd      {held}"),
    ):
        text = any_proxy.run(any_proxy.host, *tool)
        assert mine in text, tool
        assert dockerd in text, tool
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    if any_proxy.mode == "shared":
        assert arguments == b"docker-proxy\0--shared\0"
    else:
        assert arguments == b"\0".join(word.encode() for word in listener.argv) + b"\0"
    assert Path(f"/proc/{pid}/comm").read_text() == "docker-proxy\n"


def test_sockets_look_alike(field: Field) -> None:
    """Local address, queue lengths, v6only and a connection's keep-alive timer are docker-proxy's."""
    field.backend()
    shown = []
    for mode in ("shared", field.yardstick()):
        proxies = field.start(
            field.listener(),
            field.listener(address="::", v6only=True),
            field.listener(53, protocol="udp"),
            mode=mode,
        )
        lines = field.run(field.host, "ss", "-Hltuneo").splitlines()
        listening = sorted(
            " ".join(word for word in line.split() if "ino:" not in word and "sk:" not in word)
            for line in lines
        )
        client = field.connect()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        field.until(lambda: "keepalive" in field.run(field.host, "ss", "-Htno", "sport", "80"), "a timer")
        if mode == "shared":  # Debian 13's docker-proxy, of a newer Go, has the timer on both sides
            # A socket that is being closed has a timer that ss shows by the same name.
            standing = field.run(field.host, "ss", "-Htno", "state", "established", "dport", "8000")
            assert "keepalive" not in standing
        shown.append(listening)
        proxies.close()
        client.close()
    assert shown[0] == shown[1]


def test_listeners_come_and_go(any_proxy: Field) -> None:
    backend = any_proxy.backend()
    proxies = any_proxy.start(any_proxy.listener())
    client, server = any_proxy.through(backend)
    proxies.add(any_proxy.listener(81), any_proxy.listener(82))
    other, its_server = any_proxy.through(backend, 81)
    proxies.remove(any_proxy.listener(81))
    with pytest.raises(ConnectionRefusedError):
        any_proxy.connect(81)
    assert other.recv(1) == b""
    assert its_server.recv(1) == b""
    client.sendall(b"undisturbed")
    assert server.recv(100) == b"undisturbed"
    proxies.add(any_proxy.listener(81))
    assert any_proxy.through(backend, 81)
    with pytest.raises(LabError, match=r"nothing of this host listens on 0\.0\.0\.0:99/tcp"):
        proxies.remove(any_proxy.listener(99))


def test_address_in_use(any_proxy: Field) -> None:
    """The error names the listener, and nothing of that request is left."""
    any_proxy.backend()
    other = any_proxy.open(any_proxy.host)
    other.bind((any_proxy.host4, 443))
    other.listen()
    with pytest.raises(LabError, match=r"(?i)cannot listen on 0\.0\.0\.0:443/tcp: .*address already in use"):
        any_proxy.start(any_proxy.listener(), any_proxy.listener(443))
    with pytest.raises(ConnectionRefusedError):
        any_proxy.connect(80)
    proxies = any_proxy.start(any_proxy.listener())
    with pytest.raises(LabError, match=r"(?i)cannot listen on 0\.0\.0\.0:443/tcp: .*address already in use"):
        proxies.add(any_proxy.listener(81), any_proxy.listener(443))
    with pytest.raises(ConnectionRefusedError):
        any_proxy.connect(81)
    assert any_proxy.connect(80)


def test_two_families_one_port(any_proxy: Field) -> None:
    """0.0.0.0 and [::] are two sockets; a dual-stack one takes both, and then neither is free."""
    any_proxy.start(any_proxy.listener(), any_proxy.listener(address="::", v6only=True)).close()
    if any_proxy.mode.startswith("/"):
        return
    any_proxy.start(any_proxy.listener(address="::", v6only=False))
    for listener in (any_proxy.listener(), any_proxy.listener(address="::", v6only=True)):
        with pytest.raises(LabError, match="Address already in use"):
            any_proxy.start(listener)


def test_sctp_without_a_kernel_that_has_it(any_proxy: Field) -> None:
    """Where the kernel has SCTP the listener is bound; else the error says what is missing."""
    try:
        any_proxy.open(any_proxy.host, socket.AF_INET).detach()
        with any_proxy.inside(any_proxy.host):
            socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
    except OSError:
        expected = pytest.raises(LabError, match=r"(?i)cannot listen on .*80/sctp: .*protocol not supported")
    else:
        expected = contextlib.nullcontext()
    with expected:
        any_proxy.start(any_proxy.listener(protocol="sctp"))


def test_held_sockets(field: Field) -> None:
    """dockerd without a userland proxy: the kernel shakes hands, nobody accepts; UDP is swallowed."""
    field.start(
        field.listener(backend=None, address="::", v6only=False),
        field.listener(53, backend=None, protocol="udp"),
        field.listener(81, backend=None, backlog=0),
    )
    client = field.connect(80, field.host6)
    client.sendall(b"hello?")
    assert select.select([client], [], [], 0.2)[0] == []
    with pytest.raises(ConnectionRefusedError):
        field.connect(53)
    datagrams = field.open(field.client, kind=socket.SOCK_DGRAM)
    datagrams.connect((field.host4, 53))
    datagrams.send(b"x")
    datagrams.send(b"no ICMP error came back")
    lines = field.run(field.host, "ss", "-Hltn").splitlines()
    assert sorted(line.split()[2:4] for line in lines) == [["0", "0.0.0.0:81"], ["4096", "*:80"]]


@pytest.mark.parametrize("mode", ["shared", "per-port"])
def test_pairs_join_both_legs(field: Field, mode: str) -> None:
    backend, datagrams = field.backend(), field.backend(kind=socket.SOCK_DGRAM)
    proxies = field.start(
        field.listener(),
        field.listener(address="::", v6only=True),
        field.listener(53, protocol="udp"),
        mode=mode,
    )
    ends = []
    for address in (field.host4, field.host6):
        client = field.connect(80, address)
        ends.append((client.getsockname()[:2], field.accept(backend).getpeername(), (address, 80)))
    pairs, whole = proxies.pairs()
    assert whole
    assert {(pair.client, pair.own, pair.asked) for pair in pairs} == set(ends)
    assert {pair.backend for pair in pairs} == {(field.container4, 8000)}
    client = field.open(field.client, kind=socket.SOCK_DGRAM)
    client.connect((field.host4, 53))
    client.send(b"x")
    _, own = datagrams.recvfrom(1)
    later, _ = proxies.pairs(pairs[-1].when)
    assert [(pair.protocol, pair.client, pair.own) for pair in later] == [("udp", client.getsockname(), own)]


def test_many_pairs(field: Field) -> None:
    """Thousands are reported in several packets; beyond the limit the oldest are dropped, as reported."""
    backend = field.backend()
    proxies = field.start(field.listener())
    for _ in range(4100):
        client = field.connect()
        server, _ = backend.accept()
        server.close()
        assert client.recv(1) == b""
        client.close()
    pairs, whole = proxies.pairs()
    assert len(pairs) == 4096
    assert not whole
    assert proxies.pairs(pairs[0].when) == (pairs[1:], True)


def test_a_real_docker_proxy_tells_no_pairs(field: Field) -> None:
    assert field.start(field.listener(), mode=field.yardstick()).pairs() == ((), False)


def test_no_descriptors_left(field: Field) -> None:
    """Connections wait in the backlog, without a spinning proxy, until others have ended."""
    backend = field.backend()
    proxies = field.start(field.listener())
    pid = proxies.pids()[0]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (16, 16))
    clients = [field.connect() for _ in range(20)]
    for number, client in enumerate(clients):
        client.sendall(b"%d\n" % number)
    served = {}
    while select.select([backend], [], [], 0.3)[0]:
        server = field.accept(backend)
        served[int(server.makefile("rb").readline())] = server
    assert 0 < len(served) < 20
    field.until(lambda: Path(f"/proc/{pid}/stat").read_text().split()[2] == "S", "the proxy sleeps")
    order = []
    while served:
        number, server = served.popitem()
        server.close()
        assert clients[number].recv(1) == b""
        clients[number].close()
        order.append(number)
        if len(order) + len(served) < 20:
            server = field.accept(backend)
            served[int(server.makefile("rb").readline())] = server
    assert sorted(order) == list(range(20))


def test_a_killed_proxy_is_reported(field: Field) -> None:
    proxies = field.start(field.listener())
    pid = proxies.pids()[0]
    watch = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([watch], [], [], 30)[0]
    os.close(watch)
    with pytest.raises(LabError, match=rf"docker-proxy \(pid {pid}\) has died"):
        proxies.add(field.listener(81))


def test_nothing_outlives_the_supervisor(any_proxy: Field) -> None:
    """SIGKILL of the process that started them ends them all."""
    read, write = os.pipe()
    supervisor = os.fork()
    if supervisor == 0:
        listeners = [any_proxy.listener(), any_proxy.listener(81, backend=None)]
        proxies = Proxies.start(any_proxy.host, listeners, any_proxy.mode)
        os.write(write, " ".join(map(str, proxies.pids())).encode())
        signal.pause()
        os._exit(1)
    pids = [int(word) for word in os.read(read, 100).split()]
    watched = [os.pidfd_open(pid) for pid in pids]
    assert len(pids) == 2
    os.kill(supervisor, signal.SIGKILL)
    os.waitpid(supervisor, 0)
    for fd in watched:
        assert select.select([fd], [], [], 30)[0]
    for fd in (read, write, *watched):
        os.close(fd)


def test_descriptors_of_the_parent_are_not_kept(field: Field) -> None:
    """A proxy holds its own sockets, an epoll and /dev/null: no namespace, no pipe of the parent's."""
    proxies = field.start(field.listener())
    links = [str(path.readlink()) for path in Path(f"/proc/{proxies.pids()[0]}/fd").iterdir()]
    assert sorted({link.partition(":[")[0] for link in links}) == ["/dev/null", "anon_inode", "socket"]
