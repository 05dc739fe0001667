"""A second process that relays connections, once there are too many for one CPU.

The first process has all listeners, so that ``ss -ltnp`` shows one docker-proxy; it accepts, dials and keeps
the pairs. An established connection goes to whichever process relays fewer. The helper gets its connections
over a Unix SOCK_SEQPACKET pair (unix(7), SCM_RIGHTS), whose packets are a verb and a listener's key: ``+``
with the two sockets of a connection, or ``-`` to cut that listener's connections, which it acknowledges. The
helper ends when the first process does.
"""

from __future__ import annotations

import _socket
import mmap
import os
import resource
import select
import signal
from struct import pack, unpack
from typing import TYPE_CHECKING

from netlab.proxy import forked
from netlab.proxy.loop import IN, Loop
from netlab.proxy.pipes import LIMIT, Pipes
from netlab.proxy.tcp_connection import DONTWAIT, Streams

if TYPE_CHECKING:
    from collections.abc import MutableSequence

#: Connections that the master carries before it has any helped with.
ALONE = 8
#: Connections taken over until those that are carried have their turn.
TURN = 32
#: Seconds that the helper may take for an answer: less than the master's own parent waits for the master.
PATIENCE = 1.5
#: The longest packet in either direction.
PACKET = 1024
#: The helper's messages when it is ready, and when it has cut connections on request.
DONE = b"done"
#: Descriptors other than connections: the helper's own, and its pipes.
OTHERS = 16 + 2 * LIMIT

_SPACE = _socket.CMSG_SPACE(8)


def wanted() -> bool:
    """Whether a second process could run beside this one."""
    return len(os.sched_getaffinity(0)) > 1


class Helper:
    """The helper as its master sees it; forked when it is first needed."""

    def __init__(self, streams: Streams) -> None:
        self._master = streams
        self._control: _socket.socket | None = None
        self._pid = 0
        self._passed = 0
        self._ended: MutableSequence[int] | memoryview[int] = [0]
        self._most = 0

    def take(self, key: str, client: _socket.socket, backend: _socket.socket) -> bool:
        """Pass a connection to the helper if that relays fewer; returns whether it did."""
        own = len(self._master)
        if own < ALONE:
            return False
        if self._control is None and not self._start():
            return False
        its = self._passed - self._ended[0]
        if its >= own or its >= self._most:
            return False
        assert self._control is not None
        rights = pack("ii", client.fileno(), backend.fileno())
        try:
            self._control.sendmsg(
                [b"+" + key.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)], DONTWAIT
            )
        except OSError:  # it is too busy, or has died, which the loop will notice: continue without it
            return False
        self._passed += 1
        client.close()
        backend.close()
        return True

    def cut(self, key: str) -> None:
        """Close the connections of a listener; returns when that is done."""
        if self._control is not None:
            try:
                self._control.send(b"-" + key.encode(), DONTWAIT)
            except BlockingIOError:  # it reads nothing
                os.kill(self._pid, signal.SIGKILL)
            except OSError:  # it has died, which the loop will notice, and its connections with it
                return
            self._await()

    def end(self) -> None:
        """End it with its connections; returns when it is gone."""
        if self._control is not None:
            control, self._control = self._control, None
            control.shutdown(_socket.SHUT_WR)
            _readable(control)  # it ends itself, unless it is stopped or hangs
            os.kill(self._pid, signal.SIGKILL)
            control.close()
            os.waitpid(self._pid, 0)

    def _await(self) -> None:
        """:meth:`_hear` for a bounded time; a helper that says nothing is killed, with its connections."""
        assert self._control is not None
        if not _readable(self._control):
            os.kill(self._pid, signal.SIGKILL)  # the end of its socket comes now
        self._hear()

    def _start(self) -> bool:
        """Fork; False if that cannot be now."""
        self._most = (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - OTHERS) // 2
        if self._most <= 0:
            return False
        try:
            ended = memoryview(mmap.mmap(-1, 8)).cast("Q")
            mine, its = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
            self._pid = os.fork()
        except OSError:  # no descriptors, processes or memory left: the master goes on alone
            return False
        if self._pid == 0:
            forked.run(lambda: _serve(its, ended), its.fileno())
        its.close()
        self._control, self._ended, self._passed = mine, ended, 0
        self._master.loop.watch(mine.fileno(), lambda _events: self._hear(), IN)
        self._await()  # until then it holds the listeners, too
        return self._control is not None

    def _hear(self) -> None:
        """Read one packet; raises RuntimeError if it reports an error in the helper."""
        assert self._control is not None
        try:
            packet = self._control.recv(PACKET)
        except ConnectionError:  # it died with a packet unread
            packet = b""
        if packet == DONE:
            return
        self._master.loop.discard(self._control)
        self._control = None
        os.waitpid(self._pid, 0)
        reason = packet.decode().partition("\n")[2]
        if reason:
            raise RuntimeError(f"the proxy's helper, process {self._pid}, has died: {reason}")


def _readable(control: _socket.socket) -> bool:
    """Whether there is something to read, or the end, within :data:`PATIENCE`."""
    poll = select.poll()
    poll.register(control.fileno(), select.POLLIN)
    return bool(poll.poll(PATIENCE * 1000))


def _serve(control: _socket.socket, ended: memoryview[int]) -> None:
    """The helper's life."""
    forked.keep_only({control.fileno()})
    loop = Loop()
    streams = Streams(loop, Pipes(), ended)
    loop.watch(control.fileno(), lambda _events: _obey(control, streams, ended), IN)
    control.send(DONE)
    loop.run()


def _obey(control: _socket.socket, streams: Streams, ended: memoryview[int]) -> None:
    """Take connections over, and cut some; end with the master."""
    for _ in range(TURN):
        try:
            packet, ancillary, _, _ = control.recvmsg(PACKET, _SPACE, DONTWAIT)
        except BlockingIOError:
            return
        except ConnectionError:
            packet = b""
        if not packet:
            streams.loop.stop()
            return
        key = packet[1:].decode()
        if packet.startswith(b"-"):
            streams.cut(key)
            streams.loop.close_now()
            control.send(DONE)
            continue
        fds = [fd for *_, data in ancillary for fd in unpack(f"{len(data) // 4}i", data)]
        if len(fds) == 2:
            streams.begin(key, _connection(fds[0]), _connection(fds[1]))
        else:  # the limit of descriptors was lowered
            for fd in fds:
                os.close(fd)
            ended[0] += 1


def _connection(fd: int) -> _socket.socket:
    """The socket of a descriptor; its address is never read, so its family does not matter."""
    return _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM, 0, fd)
