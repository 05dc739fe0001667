"""A client, a host and a container with one link each, and what answers in the container.

::

    client ── 198.51.100.0/24 ── host ── 192.168.10.0/24 ── container
                                 proxies                    backend (one process, one epoll)
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from netlab.kernel import netns
from netlab.lab.cost.usage import discard, send_zeros, zeros_of
from netlab.lab.services.proxies import Proxies
from netlab.model.plan import Backend, Listener

CLIENT = "198.51.100.2"
HOST = "198.51.100.1"
GATEWAY = "192.168.10.1"
CONTAINER = "192.168.10.10"

HTTP, ECHO, SOURCE, SINK = 8000, 8001, 8002, 8003
#: Bytes of one bulk transfer.
BULK = 512 * 1024 * 1024

RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSING = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Field:
    """Three namespaces, a backend, and proxies that can be added."""

    def __init__(self) -> None:
        self.client = netns.create()
        self.host = netns.create()
        self.container = netns.create()
        self._proxies: list[Proxies] = []
        self._backend = 0

    def close(self) -> None:
        """End everything."""
        for proxies in self._proxies:
            proxies.close()
        if self._backend:
            os.kill(self._backend, signal.SIGKILL)
            os.waitpid(self._backend, 0)
        for fd in (self.client, self.host, self.container):
            os.close(fd)

    def set_up(self) -> None:
        """Links, addresses, and the backend; raises LabError or OSError."""
        for fd in (self.client, self.host, self.container):
            self._ip(fd, "link set lo up")
            _stock_congestion_control(fd)
            _no_time_wait(fd)
        self._link(self.client, f"{CLIENT}/24", f"{HOST}/24", "ext0")
        self._link(self.container, f"{CONTAINER}/24", f"{GATEWAY}/24", "br0")
        self._ip(self.container, f"route add default via {GATEWAY}")
        with netns.entered(self.container):
            listening = [
                socket.create_server((CONTAINER, port), backlog=4096) for port in (HTTP, ECHO, SOURCE, SINK)
            ]
        self._backend = os.fork()
        if self._backend == 0:
            try:
                Responder(listening).run()
            finally:
                os._exit(1)
        for sock in listening:
            sock.close()

    def proxies(self, mode: str, ports: Sequence[tuple[int, int]]) -> Proxies:
        """Listeners on the host: (host port, container port) each."""
        listeners = [
            Listener("tcp", "0.0.0.0", port, None, "docker-proxy", Backend(CONTAINER, to))
            for port, to in ports
        ]
        proxies = Proxies.start(self.host, listeners, mode)
        self._proxies.append(proxies)
        return proxies

    def _ip(self, fd: int, words: str) -> None:
        with netns.entered(fd):
            subprocess.run(["ip", *words.split()], check=True)

    def _link(self, fd: int, address: str, host_address: str, name: str) -> None:
        path = f"/proc/{os.getpid()}/fd/{fd}"
        self._ip(self.host, f"link add {name} type veth peer name eth0 netns {path}")
        self._ip(self.host, f"addr add {host_address} dev {name}")
        self._ip(self.host, f"link set {name} up")
        self._ip(fd, f"addr add {address} dev eth0")
        self._ip(fd, "link set eth0 up")


class Responder:
    """HTTP, echo, an endless source and a sink, by the listener's port, as cheap as Python can."""

    def __init__(self, listening: Sequence[socket.socket]) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._buffer = bytearray(1 << 20)
        self._zeros = zeros_of(BULK)
        kinds = {HTTP: self._http, ECHO: self._echo, SOURCE: self._source, SINK: self._sink}
        for sock in listening:
            sock.setblocking(False)
            self._add(sock, partial(self._accept, sock, kinds[sock.getsockname()[1]]))

    def run(self) -> None:
        """Serve until killed."""
        while True:
            for fd, _ in self._poll.poll():
                self._handlers[fd]()

    def _add(self, sock: socket.socket, handler: Callable[[], None]) -> None:
        self._handlers[sock.fileno()] = handler
        self._poll.register(sock.fileno(), select.EPOLLIN)

    def _accept(self, listener: socket.socket, kind: Callable[[socket.socket], None]) -> None:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._add(sock, lambda: kind(sock))

    def _close(self, sock: socket.socket) -> None:
        del self._handlers[sock.fileno()]
        sock.close()

    def _http(self, sock: socket.socket) -> None:
        got = sock.recv_into(self._buffer)
        if not got:
            self._close(sock)
        elif self._buffer.find(b"close", 0, got) >= 0:
            sock.send(CLOSING)
            self._close(sock)
        else:
            sock.send(RESPONSE)

    def _echo(self, sock: socket.socket) -> None:
        got = sock.recv_into(self._buffer)
        if got:
            sock.send(memoryview(self._buffer)[:got])
        else:
            self._close(sock)

    def _source(self, sock: socket.socket) -> None:
        """Requested by one byte; the benchmark needs only one transfer at a time."""
        sock.recv(1)
        sock.setblocking(True)
        send_zeros(sock, self._zeros, BULK)
        sock.shutdown(socket.SHUT_WR)
        self._close(sock)

    def _sink(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        sock.send(discard(sock, self._buffer).to_bytes(8))
        self._close(sock)


def _stock_congestion_control(fd: int) -> None:
    """No pacing: BBR would bound every transfer by its estimate of the path, whichever proxy is on it."""
    with netns.entered(fd), open("/proc/sys/net/ipv4/tcp_congestion_control", "r+") as file:  # noqa: PTH123
        if file.read().strip() not in ("cubic", "reno"):
            file.seek(0)
            file.write("reno")  # the one that every kernel has and every namespace may choose


def _no_time_wait(fd: int) -> None:
    """Ended connections leave no TIME_WAIT: otherwise, connect() soon spends milliseconds on finding a port.

    The faster proxy would fill a client's 28,000 ports sooner, and look slower.
    """
    with netns.entered(fd), open("/proc/sys/net/ipv4/tcp_max_tw_buckets", "w") as file:  # noqa: PTH123
        file.write("0")


@contextmanager
def field() -> Iterator[Field]:
    """A field for the block."""
    made = Field()
    try:
        made.set_up()
        yield made
    finally:
        made.close()
