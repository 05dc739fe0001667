"""TCP: what docker-proxy does with a connection, from an edge-triggered loop.

docker-proxy dials the backend after accept; if that fails it closes the client's connection. Then each
direction is copied until it ends or fails, whereupon the other side's sending half is shut down; when
both have ended, both connections are closed (moby ``cmd/docker-proxy/tcp_proxy_linux.go``). So a reset on
one side reaches the other as an end of stream, and data that nobody read turns the close into a reset.

::

    small ── a read filled the buffer ──> bulk     splice() through a pipe of the pool; no pipe: held copy
      ^                                     |
      └──── a wake-up brought little ───────┘

Nothing is read that cannot soon be sent: of what was read, at most one small buffer (``CARRY``) or one pipe
waits for a slow reader; in held copy bytes stay in the kernel (MSG_PEEK) until the other side took them.
"""

from __future__ import annotations

import _socket
import errno
import os
import time
from typing import TYPE_CHECKING

from netlab.proxy.loop import GONE, IN, OUT
from netlab.proxy.pipes import Pipe, Pipes
from netlab.proxy.sockets import SOL_TCP, SockAddr, family_of, shown, sockaddr, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.proxy.loop import Loop
    from netlab.proxy.pairs import Pairs
    from netlab.proxy.spec import Spec

#: A read that fills this many bytes is the sign of bulk; also the most that waits in user memory.
CARRY = 16 * 1024
#: Bytes looked at in held copy.
PEEK = 128 * 1024
#: Rounds until another connection has its turn.
TURN = 32

DONTWAIT = _socket.MSG_DONTWAIT
LOOK = _socket.MSG_PEEK | _socket.MSG_DONTWAIT
#: Of TCP data, MSG_TRUNC discards without copying (tcp(7)).
DROP = _socket.MSG_TRUNC | _socket.MSG_DONTWAIT
MOVE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_buffer = bytearray(PEEK)
_view = memoryview(_buffer)
_small = _view[:CARRY]


class Half:
    """One direction of a connection: from ``source`` to ``sink``.

    ``readable`` holds until a read says EAGAIN, ``blocked`` from a write's EAGAIN to the sink's next edge;
    ``ending``: the source's end or failure was reported, so reads go on until they meet it.
    """

    __slots__ = (
        "back",
        "blocked",
        "bulk",
        "carry",
        "ending",
        "finished",
        "loop",
        "owner",
        "pipe",
        "pipes",
        "readable",
        "receive",
        "send",
        "sink",
        "source",
        "waiting",
    )

    back: Half

    def __init__(
        self, source: _socket.socket, sink: _socket.socket, loop: Loop, pipes: Pipes, owner: set[Half]
    ) -> None:
        self.owner = owner
        self.source = source
        self.sink = sink
        self.receive = source.recv_into
        self.send = sink.send
        self.loop = loop
        self.pipes = pipes
        self.pipe: Pipe | None = None
        self.carry: bytes | None = None
        self.readable = False
        self.blocked = False
        self.ending = False
        self.bulk = False
        self.finished = False
        self.waiting = False  #: in the loop's list of those that have more to do

    def on_event(self, events: int) -> None:
        """Something happened to ``source``: it can be read, or the other direction can write to it."""
        back = self.back
        if back.blocked and events & (OUT | GONE):
            back.blocked = False
            back.pump()
        if events & (IN | GONE) and not self.finished:
            self.readable = True
            if events & GONE:
                self.ending = True
            if not self.blocked:
                self.pump()

    def resume(self) -> None:
        """Go on after others had their turn."""
        self.waiting = False
        if not (self.finished or self.blocked):
            self.pump()

    def pump(self) -> None:
        """Move what can be moved."""
        if self.carry is not None and not self._flush():
            return
        if self.bulk:
            self._pump_bulk()
            return
        while self.readable:
            try:
                got = self.receive(_small, CARRY, DONTWAIT)
            except BlockingIOError:
                self.readable = False
                return
            except OSError:
                self.finish()
                return
            if not got:
                self.finish()
                return
            try:
                sent = self.send(_view[:got], DONTWAIT)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.finish()
                return
            if sent != got:
                self.carry = bytes(_view[sent:got])
                self.blocked = True
                return
            if got == CARRY:
                self.bulk = True
                self._pump_bulk()
                return
            # A short read emptied the queue, so another would only say EAGAIN; unless the end was announced.
            self.readable = self.ending

    def _flush(self) -> bool:
        """Send what was read before; False if the direction cannot go on now."""
        carry = self.carry
        assert carry is not None
        try:
            sent = self.send(carry, DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.finish()
            return False
        if sent != len(carry):
            self.carry = carry[sent:]
            self.blocked = True
            return False
        self.carry = None
        return True

    def _pump_bulk(self) -> None:
        """Move through a pipe, if one is to be had."""
        pipe = self.pipe
        if pipe is None:
            pipe = self.pipe = self.pipes.take()
            if pipe is None:
                self._pump_held()
                return
            self.source.setblocking(False)
            self.sink.setblocking(False)
        source, sink = self.source.fileno(), self.sink.fileno()
        moved = 0
        for _ in range(TURN):
            try:
                if not pipe.held:
                    pipe.held = os.splice(source, pipe.write, pipe.size, flags=MOVE)
                    if not pipe.held:
                        self.finish()
                        return
                    moved += pipe.held
            except BlockingIOError:
                self.readable = False
                self.bulk = moved > CARRY
                self._return_pipe()
                return
            except OSError:
                self.finish()
                return
            try:
                pipe.held -= os.splice(pipe.read, sink, pipe.held, flags=MOVE)
            except BlockingIOError:
                self.blocked = True
                return
            except OSError:
                self.finish()
                return
        self._requeue()

    def _pump_held(self) -> None:
        """Copy, and take from the source only what the sink took."""
        for _ in range(TURN):
            try:
                got = self.receive(_buffer, PEEK, LOOK)
                if not got:
                    self.finish()
                    return
            except BlockingIOError:
                self.readable = False
                self.bulk = False
                return
            except OSError:
                self.finish()
                return
            try:
                sent = self.send(_view[:got], DONTWAIT)
            except BlockingIOError:
                self.blocked = True
                return
            except OSError:
                self.finish()
                return
            self.receive(_buffer, sent, DROP)
        self._requeue()

    def _requeue(self) -> None:
        if not self.waiting:
            self.waiting = True
            self.loop.again.append(self.resume)

    def _return_pipe(self) -> None:
        if self.pipe is not None:
            self.pipes.give_back(self.pipe)
            self.pipe = None

    def finish(self) -> None:
        """Note that the direction has ended, or cannot go on."""
        self.finished = True
        self.readable = False
        self.carry = None
        self._return_pipe()
        if self.back.finished:
            self._close()
            return
        try:
            self.sink.shutdown(_socket.SHUT_WR)
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # a reset came first: there is nobody left to tell
                raise

    def _close(self) -> None:
        back = self.back
        self.loop.discard(self.source)
        self.loop.discard(self.sink)
        self.owner.discard(self)
        self.owner.discard(back)
        del back.back, self.back  # the only cycle there is: the collector is off

    def abort(self) -> None:
        """Close both connections as the end of the process would."""
        for half in (self, self.back):
            half.finished = True
            half._return_pipe()
        self._close()


class TcpService:
    """A listening socket and where its connections lead."""

    def __init__(
        self,
        sock: _socket.socket,
        spec: Spec,
        loop: Loop,
        pipes: Pipes,
        pairs: Pairs,
        log: Callable[[str], None] | None = None,
    ) -> None:
        assert spec.backend is not None
        self._sock = sock
        self._loop = loop
        self._pipes = pipes
        self._pairs = pairs
        self._log = log
        self._backend: SockAddr = sockaddr(*spec.backend)
        self._family = family_of(spec.backend[0])
        self._open: set[Half] = set()
        #: by the backend socket's descriptor: what is not connected yet
        self._dialling: dict[int, tuple[_socket.socket, _socket.socket]] = {}
        self._accept = sock._accept  # type: ignore[attr-defined]
        loop.watch(sock.fileno(), self._on_event, IN)

    def close(self) -> None:
        """Stop listening and cut the connections, as the end of a docker-proxy does."""
        self._loop.discard(self._sock)
        for pair in self._dialling.values():
            for sock in pair:
                self._loop.discard(sock)
        self._dialling.clear()
        for half in list(self._open):
            half.abort()

    def _on_event(self, _events: int) -> None:
        """Take one connection; the level-triggered listener reports the next."""
        backend = None
        try:
            # First, so that a client is only taken when there is a descriptor for its backend, too.
            backend = _socket.socket(
                self._family, _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, 0
            )
            fd, address = self._accept()
        except OSError as error:
            if backend is not None:
                backend.close()
            if error.errno in EXHAUSTED:
                self._pause()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                self._report(error)
            return
        self._dial(_socket.socket(self._sock.family, _socket.SOCK_STREAM, 0, fd), address, backend)

    def _dial(self, client: _socket.socket, address: SockAddr, backend: _socket.socket) -> None:
        """Connect to the backend; mostly the answer is there when connect() returns."""
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
        up = Half(client, backend, self._loop, self._pipes, self._open)
        down = Half(backend, client, self._loop, self._pipes, self._open)
        up.back = down
        down.back = up
        self._open.add(up)
        self._loop.watch(backend.fileno(), down.on_event)
        self._loop.watch(client.fileno(), up.on_event)
        up.readable = True
        up.pump()

    def _pause(self) -> None:
        """No descriptors or no memory left: new connections wait in the backlog.

        Until something was closed, or a second has passed, since others may have freed what the whole machine
        lacked.
        """
        self._pipes.shrink()
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
