"""A client, a host and a container::

    client ── 198.51.100.0/24, 2001:db8:1::/64 ── host ── 192.168.10.0/24, fd00:10::/64 ── container

and the proxies on the host, ours in both forms and the real docker-proxy, which is the yardstick.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from netlab.kernel import netns
from netlab.lab.services.proxies import Proxies
from netlab.model.plan import Backend, Listener
from netlab.proxy.loop import Loop

#: The yardstick; another generation's is taken by naming it in the environment.
DOCKER_PROXY = os.environ.get("DOCKER_PROXY", "/usr/sbin/docker-proxy")
CLIENT4, HOST4, GATEWAY4, CONTAINER4 = "198.51.100.2", "198.51.100.1", "192.168.10.1", "192.168.10.10"
CLIENT6, HOST6, GATEWAY6, CONTAINER6 = "2001:db8:1::2", "2001:db8:1::1", "fd00:10::1", "fd00:10::10"
SIOCGIFFLAGS, IFF_RUNNING = 0x8913, 0x40  # linux/sockios.h, linux/if.h
#: Bounds every wait; nothing measures time with it.
PATIENCE = 60.0


class Field:
    """Three namespaces; sockets are opened in them."""

    client4, host4, gateway4, container4 = CLIENT4, HOST4, GATEWAY4, CONTAINER4
    client6, host6, gateway6, container6 = CLIENT6, HOST6, GATEWAY6, CONTAINER6

    def __init__(self) -> None:
        self.client, self.host, self.container = netns.create(), netns.create(), netns.create()
        self.mode = "shared"
        #: whether the proxies are to be those of Docker 28 and later, whose listeners are passed to them
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._proxies: list[Proxies] = []
        self.ip(self.host, "link set lo up")
        self._link(self.client, (f"{CLIENT4}/24", f"{CLIENT6}/64"), (f"{HOST4}/24", f"{HOST6}/64"), "ext0")
        self._link(
            self.container,
            (f"{CONTAINER4}/24", f"{CONTAINER6}/64"),
            (f"{GATEWAY4}/24", f"{GATEWAY6}/64"),
            "br0",
        )

    def close(self) -> None:
        for proxies in self._proxies:
            proxies.close()
        for sock in self._sockets:
            sock.close()
        for fd in (self.client, self.host, self.container):
            os.close(fd)

    def ip(self, fd: int, words: str) -> None:
        with netns.entered(fd):
            subprocess.run(["ip", *words.split()], check=True)

    def run(self, fd: int, *argv: str) -> str:
        with netns.entered(fd):
            return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def _link(self, fd: int, inner: tuple[str, str], outer: tuple[str, str], name: str) -> None:
        path = f"/proc/{os.getpid()}/fd/{fd}"
        self._batch(
            self.host, f"link add {name} type veth peer name eth0 netns {path}", *self._up(outer, name)
        )
        self._batch(fd, "link set lo up", *self._up(inner, "eth0"))
        for end, device in ((self.host, name), (fd, "eth0")):
            self.until(lambda end=end, device=device: self._runs(end, device), f"{device} runs")  # type: ignore[misc]

    def _runs(self, fd: int, device: str) -> bool:
        """Whether the kernel has processed the carrier's change: before, IPv6 has no route there."""
        with netns.entered(fd), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            request = struct.pack("16sh22x", device.encode(), 0)
            flags: int = struct.unpack("16xH22x", fcntl.ioctl(sock, SIOCGIFFLAGS, request))[0]
        return bool(flags & IFF_RUNNING)

    def _up(self, addresses: tuple[str, str], device: str) -> list[str]:
        lines = [f"addr add {a} dev {device}{' nodad' if ':' in a else ''}" for a in addresses]
        return [*lines, f"link set {device} up"]

    def _batch(self, fd: int, *lines: str) -> None:
        with netns.entered(fd):
            subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)

    def open(self, fd: int, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket in a namespace, closed after the test."""
        with netns.entered(fd):
            sock = socket.socket(family, kind)
        sock.settimeout(PATIENCE)
        self._sockets.append(sock)
        return sock

    def backend(
        self, port: int = 8000, *, kind: int = socket.SOCK_STREAM, address: str = CONTAINER4
    ) -> socket.socket:
        """A server's socket in the container."""
        sock = self.open(self.container, socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(4096)
        return sock

    def connect(self, port: int = 80, address: str = HOST4, *, fd: int | None = None) -> socket.socket:
        """A connection from the client (or from the namespace ``fd``) to the host."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = self.open(self.client if fd is None else fd, family)
        sock.connect((address, port))
        return sock

    def accept(self, backend: socket.socket) -> socket.socket:
        """The connection that reaches the backend."""
        sock, _ = backend.accept()
        sock.settimeout(PATIENCE)
        self._sockets.append(sock)
        return sock

    def through(self, backend: socket.socket, port: int = 80) -> tuple[socket.socket, socket.socket]:
        """Both ends of a proxied connection."""
        client = self.connect(port)
        return client, self.accept(backend)

    def start(self, *listeners: Listener, mode: str | None = None, udp_timeout: float = 90.0) -> Proxies:
        proxies = Proxies.start(self.host, listeners, mode or self.mode, udp_timeout)
        self._proxies.append(proxies)
        return proxies

    @staticmethod
    def yardstick() -> str:
        """The real docker-proxy; without it the tests fail, since they would compare with nothing."""
        if shutil.which(DOCKER_PROXY) is None:
            pytest.fail(f"{DOCKER_PROXY} (Debian: docker.io) is these tests' yardstick, and is not installed")
        return DOCKER_PROXY

    @staticmethod
    def inside(fd: int) -> AbstractContextManager[None]:
        """The thread is in that namespace for the block."""
        return netns.entered(fd)

    @staticmethod
    def turn(loop: Loop) -> None:
        """Let a loop handle one batch of events."""
        for fd, events in loop.epoll.poll(PATIENCE):
            loop.handlers[fd](events)
        loop.close_now()

    @staticmethod
    def listener(
        port: int = 80,
        to: int = 8000,
        *,
        protocol: str = "tcp",
        address: str = "0.0.0.0",
        v6only: bool | None = None,
        backend: str | None = CONTAINER4,
        backlog: int = 4096,
        passed: bool = False,
    ) -> Listener:
        """A published port; ``backend`` None is one that dockerd only holds."""
        argv: tuple[str, ...] = ()
        if backend is not None:
            argv = (
                *("docker-proxy", "-proto", protocol, "-host-ip", address, "-host-port", str(port)),
                *(
                    "-container-ip",
                    backend,
                    "-container-port",
                    str(to),
                    *(["-use-listen-fd"] if passed else []),
                ),
            )
        return Listener(
            protocol,  # type: ignore[arg-type]
            address,
            port,
            v6only,
            "docker-proxy" if backend else "dockerd",
            Backend(backend, to) if backend else None,
            backlog,
            argv=argv,
        )

    @staticmethod
    def until(condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition that no descriptor tells of."""
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end, f"waited in vain: {what}"
            select.select([], [], [], 0.005)

    @staticmethod
    def read_all(sock: socket.socket) -> bytes:
        """Everything until the end of the stream."""
        parts = []
        while part := sock.recv(65536):
            parts.append(part)
        return b"".join(parts)


@pytest.fixture
def field() -> Iterator[Field]:
    made = Field()
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(params=["shared", "shared since 28", "per-port", "per-port since 28", DOCKER_PROXY])
def any_generation(request: pytest.FixtureRequest, field: Field) -> Field:
    """The field, with ours of each generation, and the real docker-proxy of whichever generation it is."""
    field.mode, _, since = request.param.partition(" ")
    if field.mode == DOCKER_PROXY:
        field.passed = b"use-listen-fd" in Path(field.yardstick()).read_bytes()
    else:
        field.passed = bool(since)
    return field


@pytest.fixture(params=["shared", "per-port", DOCKER_PROXY])
def any_proxy(request: pytest.FixtureRequest, field: Field) -> Field:
    """The field, with each kind of proxy in turn."""
    if request.param == DOCKER_PROXY and shutil.which(DOCKER_PROXY) is None:
        pytest.fail(
            f"{DOCKER_PROXY} (Debian: docker.io) is the yardstick of these tests, and is not installed"
        )
    field.mode = request.param
    return field
