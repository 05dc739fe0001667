"""SCTP: one-to-one style associations (RFC 6458 §4), message by message, streams and payload types kept.

docker-proxy copies each direction until it ends and then closes both, since SCTP has no half-closed state
(RFC 9260 §9; moby ``cmd/docker-proxy/sctp_proxy_linux.go``). A kernel without SCTP refuses the socket with
EPROTONOSUPPORT.
"""

from __future__ import annotations

import _socket
import errno
import os
from typing import TYPE_CHECKING

from netlab.proxy.loop import EDGE, GONE, IN, OUT
from netlab.proxy.sockets import IPPROTO_SCTP, SockAddr, family_of, shown, sockaddr, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.proxy.loop import Loop
    from netlab.proxy.pairs import Pairs
    from netlab.proxy.spec import Spec

# linux/sctp.h: enum sctp_cmsg_type, SCTP_EVENTS and struct sctp_event_subscribe (its first byte)
SCTP_EVENTS = 11
_SNDRCVINFO = 32  # sizeof struct sctp_sndrcvinfo
MSG_NOTIFICATION = 0x8000
#: The longest message that is passed on whole; longer ones are passed on in parts.
LONGEST = 64 * 1024
TURN = 32

Message = tuple[bytes, list[tuple[int, int, bytes]]]


class Relay:
    """One direction between two message-keeping sockets; at most one message waits for a slow reader."""

    __slots__ = ("_done", "_held", "_loop", "back", "blocked", "sink", "source")

    back: Relay

    def __init__(
        self, source: _socket.socket, sink: _socket.socket, loop: Loop, done: Callable[[], None]
    ) -> None:
        self.source = source
        self.sink = sink
        self.blocked = False
        self._loop = loop
        self._done = done
        self._held: Message | None = None

    def on_event(self, events: int) -> None:
        """Something happened to ``source``."""
        if self.back.blocked and events & (OUT | GONE):
            self.back.blocked = False
            self.back.pump()
        if events & (IN | GONE) and not self.blocked:
            self.pump()

    def pump(self) -> None:
        """Pass messages on until one side has no more or accepts no more."""
        if self.source.fileno() < 0:
            return
        for _ in range(TURN):
            if self._held is None and not self._read():
                return
            if self._held is not None and not self._write(self._held):
                return
        self._loop.again.append(self.pump)

    def _read(self) -> bool:
        try:
            data, ancillary, flags, _ = self.source.recvmsg(LONGEST, _socket.CMSG_SPACE(_SNDRCVINFO))
        except BlockingIOError:
            return False
        except OSError:
            data, ancillary, flags = b"", [], 0
        if not data:
            self._done()
            return False
        if not flags & MSG_NOTIFICATION:
            self._held = data, ancillary
        return True

    def _write(self, message: Message) -> bool:
        try:
            self.sink.sendmsg([message[0]], message[1])
        except BlockingIOError:
            self.blocked = True
            return False
        except OSError:
            self._done()
            return False
        self._held = None
        return True


def join(client: _socket.socket, backend: _socket.socket, loop: Loop, open_: set[Callable[[], None]]) -> None:
    """Pass messages between two non-blocking sockets until one of them ends; then both are closed.

    Until then ``open_`` has a function that ends it.
    """

    def done() -> None:
        if done in open_:
            open_.remove(done)
            loop.discard(client)
            loop.discard(backend)

    up = Relay(client, backend, loop, done)
    down = Relay(backend, client, loop, done)
    up.back, down.back = down, up
    open_.add(done)
    loop.watch(backend.fileno(), down.on_event, EDGE)
    loop.watch(client.fileno(), up.on_event, EDGE)


class SctpService:
    """A listening one-to-one style socket and where its associations lead."""

    def __init__(
        self,
        sock: _socket.socket,
        spec: Spec,
        loop: Loop,
        pairs: Pairs,
        log: Callable[[str], None] | None = None,
    ) -> None:
        assert spec.backend is not None
        self._sock = sock
        self._loop = loop
        self._pairs = pairs
        self._log = log
        self._backend: SockAddr = sockaddr(*spec.backend)
        self._family = family_of(spec.backend[0])
        self._open: set[Callable[[], None]] = set()
        loop.watch(sock.fileno(), self._on_event, IN)

    def close(self) -> None:
        """Stop listening and end the associations."""
        self._loop.discard(self._sock)
        for end in list(self._open):
            end()

    def _on_event(self, _events: int) -> None:
        fd, address = self._sock._accept()  # type: ignore[attr-defined]
        client = _socket.socket(self._sock.family, _socket.SOCK_STREAM, IPPROTO_SCTP, fd)
        client.setblocking(False)
        backend = _socket.socket(self._family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, IPPROTO_SCTP)
        backend.setblocking(False)
        for sock in (client, backend):
            sock.setsockopt(IPPROTO_SCTP, SCTP_EVENTS, b"\1" + b"\0" * 7)
        code = backend.connect_ex(self._backend)
        if code not in (0, errno.EINPROGRESS):
            self._refused(client, backend, code)
            return
        self._loop.watch(backend.fileno(), lambda _events: self._dialled(client, address, backend), OUT)

    def _dialled(self, client: _socket.socket, address: SockAddr, backend: _socket.socket) -> None:
        code = backend.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
        if code:
            self._refused(client, backend, code)
            return
        self._pairs.add("sctp", address, client.getsockname(), backend.getsockname(), self._backend)
        self._loop.epoll.unregister(backend.fileno())
        join(client, backend, self._loop, self._open)

    def _refused(self, client: _socket.socket, backend: _socket.socket, code: int) -> None:
        self._loop.discard(client)
        self._loop.discard(backend)
        if self._log:
            reason = words(OSError(code, os.strerror(code)))
            self._log(f"Can't forward traffic to backend sctp/{shown(self._backend)}: {reason}")
