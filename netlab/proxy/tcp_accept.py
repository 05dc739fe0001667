"""TCP: what docker-proxy does with a listener: accept, dial the backend, and let data pass.

docker-proxy dials the backend after accept; if that fails it closes the client's connection (moby
``cmd/docker-proxy/tcp_proxy_linux.go``). What follows is :mod:`netlab.proxy.tcp_connection`.
"""

from __future__ import annotations

import _socket
import errno
import os
import time
from typing import TYPE_CHECKING

from netlab.proxy.loop import IN
from netlab.proxy.sockets import SOL_TCP, SockAddr, family_of, shown, sockaddr, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.proxy.helper import Helper
    from netlab.proxy.pairs import Pairs
    from netlab.proxy.spec import Spec
    from netlab.proxy.tcp_connection import Streams

#: Connections taken until others have their turn.
TURN = 16
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class TcpService:
    """A listening socket and where its connections lead."""

    def __init__(
        self,
        sock: _socket.socket,
        spec: Spec,
        streams: Streams,
        pairs: Pairs,
        helper: Helper | None = None,
        log: Callable[[str], None] | None = None,
        make: Callable[[int, int], _socket.socket] | None = None,
    ) -> None:
        """``make`` makes a socket of a family and kind for the backend, if it is in another namespace."""
        assert spec.backend is not None
        self._sock = sock
        self._key = spec.key
        self._loop = streams.loop
        self._streams = streams
        self._pairs = pairs
        self._helper = helper
        self._log = log
        self._make = make or _stream
        self._backend: SockAddr = sockaddr(*spec.backend)
        self._family = family_of(spec.backend[0])
        #: the next client's socket to the backend
        self._spare: _socket.socket | None = None
        #: by the backend socket's descriptor: pending connections
        self._dialling: dict[int, tuple[_socket.socket, _socket.socket]] = {}
        self._accept = sock._accept  # type: ignore[attr-defined]
        self._loop.watch(sock.fileno(), self._on_event, IN)

    def close(self) -> None:
        """Stop listening and cut the connections, as the end of a docker-proxy does."""
        self._loop.discard(self._sock)
        if self._spare is not None:
            self._spare.close()
        for pair in self._dialling.values():
            for sock in pair:
                self._loop.discard(sock)
        self._dialling.clear()
        self._streams.cut(self._key)
        if self._helper is not None:
            self._helper.cut(self._key)

    def _on_event(self, _events: int) -> None:
        """Take the connections that wait; the level-triggered listener reports those beyond a turn."""
        for _ in range(TURN):
            backend, self._spare = self._spare, None
            try:
                # First, so that a client is only taken when there is a descriptor for its backend, too.
                if backend is None:
                    backend = self._make(self._family, _socket.SOCK_STREAM)
                fd, address = self._accept()
            except BlockingIOError:
                self._spare = backend
                return
            except OSError as error:
                if backend is not None:
                    backend.close()
                if error.errno in EXHAUSTED:
                    self._pause()
                elif error.errno != errno.ECONNABORTED:
                    self._report(error)
                return
            self._dial(_socket.socket(self._sock.family, _socket.SOCK_STREAM, 0, fd), address, backend)

    def _dial(self, client: _socket.socket, address: SockAddr, backend: _socket.socket) -> None:
        """Connect to the backend; usually, the result is known when connect() returns."""
        backend.setsockopt(SOL_TCP, _socket.TCP_NODELAY, 1)
        code = backend.connect_ex(self._backend)
        if code == errno.EINPROGRESS:
            code = backend.connect_ex(self._backend)
        if code in (0, errno.EALREADY):
            self._pairs.add("tcp", address, client.getsockname(), backend.getsockname(), self._backend)
        if code == 0:
            self._establish(client, backend)
        elif code == errno.EALREADY:
            self._dialling[backend.fileno()] = client, backend
            self._loop.watch(backend.fileno(), lambda _events: self._on_dialled(client, backend))
        else:
            client.close()
            backend.close()
            self._report(OSError(code, os.strerror(code)))

    def _on_dialled(self, client: _socket.socket, backend: _socket.socket) -> None:
        code = backend.connect_ex(self._backend)
        if code in (0, errno.EISCONN):
            del self._dialling[backend.fileno()]
            self._loop.epoll.unregister(backend.fileno())
            self._establish(client, backend)
        elif code != errno.EALREADY:
            del self._dialling[backend.fileno()]
            client.close()
            self._loop.discard(backend)
            self._report(OSError(code, os.strerror(code)))

    def _establish(self, client: _socket.socket, backend: _socket.socket) -> None:
        if self._helper is None or not self._helper.take(self._key, client, backend):
            self._streams.begin(self._key, client, backend)

    def _pause(self) -> None:
        """No descriptors or no memory left: new connections wait in the backlog.

        Until something was closed, or a second has passed, since others may have freed what the whole machine
        lacked.
        """
        self._streams.pipes.shrink()
        self._loop.epoll.modify(self._sock.fileno(), 0)
        self._loop.on_closed.append(self._resume)
        self._loop.at(time.monotonic() + 1, self._retry)

    def _retry(self, _now: float) -> None:
        self._resume()

    def _resume(self) -> None:
        if self._sock.fileno() in self._loop.handlers:
            self._loop.epoll.modify(self._sock.fileno(), IN)

    def _report(self, error: OSError) -> None:
        if self._log:
            backend = shown(self._backend)
            self._log(
                f"Can't forward traffic to backend tcp/{backend}: dial tcp {backend}: connect: {words(error)}"
            )


def _stream(family: int, kind: int) -> _socket.socket:
    return _socket.socket(family, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, 0)
