"""One proxied TCP connection: two sockets, a :class:`Half` for each direction, from an edge-triggered loop.

Each direction is copied until it ends or fails, then the other side gets an end of stream; when both have
ended, both connections are closed (moby ``cmd/docker-proxy/tcp_proxy_linux.go``). So a reset on one side
reaches the other as an end of stream, and data that nobody read turns the close into a reset.

::

    small ── a read filled the buffer ──> bulk     splice() through a pipe of the pool; no pipe: held copy
      ^                                     |
      └──── a wake-up brought little ───────┘

The proxy reads only what it can soon send: for a slow reader, at most one small buffer (``CARRY``) or one
pipe waits; in held copy, bytes stay in the kernel (MSG_PEEK) until the other side has taken them.
"""

from __future__ import annotations

import _socket
import errno
import os
from typing import TYPE_CHECKING

from netlab.proxy.loop import GONE, IN, OUT

if TYPE_CHECKING:
    from collections.abc import MutableSequence

    from netlab.proxy.loop import Loop
    from netlab.proxy.pipes import Pipe, Pipes

#: A read that fills this many bytes is the sign of bulk; also the most that waits in user memory.
CARRY = 16 * 1024
#: Bytes peeked at in held copy.
PEEK = 128 * 1024
#: Rounds until another connection has its turn.
TURN = 32

DONTWAIT = _socket.MSG_DONTWAIT
#: What comes before an end that was announced travels in one packet with it.
LAST = _socket.MSG_MORE | _socket.MSG_DONTWAIT
LOOK = _socket.MSG_PEEK | _socket.MSG_DONTWAIT
#: Of TCP data, MSG_TRUNC discards without copying (tcp(7)).
DROP = _socket.MSG_TRUNC | _socket.MSG_DONTWAIT
MOVE = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK

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
        "key",
        "pipe",
        "readable",
        "receive",
        "send",
        "sink",
        "source",
        "streams",
        "waiting",
    )

    back: Half

    def __init__(self, source: _socket.socket, sink: _socket.socket, streams: Streams, key: str) -> None:
        self.streams = streams
        self.key = key
        self.source = source
        self.sink = sink
        self.receive = source.recv_into
        self.send = sink.send
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
                sent = self.send(_view[:got], LAST if self.ending else DONTWAIT)
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
        """Move data through a pipe, if one is available."""
        pipe = self.pipe
        if pipe is None:
            pipe = self.pipe = self.streams.pipes.take()
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
            self.streams.loop.again.append(self.resume)

    def _return_pipe(self) -> None:
        if self.pipe is not None:
            self.streams.pipes.give_back(self.pipe)
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
            if error.errno != errno.ENOTCONN:  # a reset came first: there is no other side any more
                raise

    def _close(self) -> None:
        back = self.back
        self.streams.end(self)
        del back.back, self.back  # the only cycle there is: the collector is off

    def abort(self) -> None:
        """Close both connections as the end of the process would."""
        for half in (self, self.back):
            half.finished = True
            half._return_pipe()
        self._close()


class Streams:
    """The connections that a process carries, by the key of their listener.

    ``ended`` is one number, how many have ended, which another process may read.
    """

    def __init__(
        self, loop: Loop, pipes: Pipes, ended: MutableSequence[int] | memoryview[int] | None = None
    ) -> None:
        self.loop = loop
        self.pipes = pipes
        self._begun = 0
        self._ended = [0] if ended is None else ended
        self._of: dict[str, set[Half]] = {}

    def __len__(self) -> int:
        return self._begun - self._ended[0]

    def begin(self, key: str, client: _socket.socket, backend: _socket.socket) -> None:
        """Carry what either side says to the other; raises OSError if they cannot be watched."""
        up = Half(client, backend, self, key)
        down = Half(backend, client, self, key)
        up.back = down
        down.back = up
        self._begun += 1
        self._of.setdefault(key, set()).add(up)
        self.loop.watch(backend.fileno(), down.on_event)
        self.loop.watch(client.fileno(), up.on_event)
        up.readable = True
        up.pump()

    def end(self, half: Half) -> None:
        """Close a connection whose directions have both ended."""
        self.loop.discard(half.source)
        self.loop.discard(half.sink)
        of = self._of[half.key]
        of.discard(half)
        of.discard(half.back)
        self._ended[0] += 1

    def cut(self, key: str) -> None:
        """Close a listener's connections, as the end of a docker-proxy does."""
        for half in list(self._of.get(key, ())):
            half.abort()
        self._of.pop(key, None)
