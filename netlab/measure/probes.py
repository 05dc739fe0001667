"""Probes with real sockets: one object for each flow.

A probe is started, is called when its socket is ready, and ends in a
:class:`~netlab.journey.evidence.ProbeResult`. It never waits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from abc import ABC, abstractmethod
from functools import cache
from typing import Final

from netlab.journey.evidence import ProbeResult
from netlab.journey.headers import ICMP, PROTOCOLS, make_key
from netlab.kernel.packet import checksum
from netlab.measure import errqueue
from netlab.model.errors import Unmeasured
from netlab.model.family import Family, bracketed
from netlab.model.flow import Flow
from netlab.model.outcome import OutcomeName
from netlab.model.reply import parse_reply

#: Seconds without an answer after which a flow is a ``timeout``: below TCP's first retransmission.
PATIENCE: Final = 0.9
#: On a machine with more runnable processes than CPUs, waits are up to this many times longer.
_MOST_PATIENCE: Final = 3.0


@cache
def _processors() -> int:
    return os.cpu_count() or 1  # reads a file: not once a flow


def patience() -> float:
    """How long to wait for an answer now, in seconds: :data:`PATIENCE`, and more on an overloaded machine.

    Without that a busy minute would turn answers into timeouts, which count as measured.
    """
    share = os.getloadavg()[0] / _processors()
    return PATIENCE * min(max(1.0, share), _MOST_PATIENCE)


#: No packet left: the machine itself refused.
_LOCAL_ERRORS: Final = frozenset(
    (
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EADDRNOTAVAIL,
        errno.EINVAL,
        errno.EACCES,
        errno.ENETDOWN,
        errno.EAFNOSUPPORT,
        errno.ENODEV,
    )
)
#: A rule in OUTPUT, or the device's egress hook or queue, dropped the packet: the trace shows which.
_DROPPED: Final = (errno.EPERM, errno.ENOBUFS)
_CONNECTION_ENDS: Final = frozenset((errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT))
_REPLY_LIMIT: Final = 1 << 16
#: What a header that fills a request up to its size has besides its value, and the empty line behind it.
_X_DATA: Final = "X-Data: \r\n\r\n"
_ECHO = struct.Struct(">BBHHH")


class SocketProbe(ABC):
    """What the probes by sockets have in common.

    ``source`` is (address, port) to bind to; an empty address leaves it to the routing table.
    """

    kind: int = socket.SOCK_STREAM
    number: int = 0

    def __init__(self, flow: Flow, token: str, source: tuple[str, int]) -> None:
        self.flow = flow
        self.token = token
        self.source = source
        self.socket: socket.socket | None = None
        self.result: ProbeResult | None = None
        self.key: bytes | None = None
        self.wants = select.EPOLLIN
        self.deadline = 0.0
        self.began = 0.0
        self.lasted = 0.0  #: seconds until it had its end
        self.scope = 0  #: the interface of a link-local address, by its index
        self.looks_for_strays = False  #: whether answers from other addresses than was asked are looked for
        self.ambiguous = False  #: the client of a proxy's connection is unknown

    # -- each kind implements these

    @abstractmethod
    def begin(self) -> None:
        """Send the first packet; raises OSError."""

    @abstractmethod
    def readable(self) -> None:
        """Take in what the socket has; raises OSError."""

    def writable(self) -> None:  # noqa: B027  only one kind has something to do here
        """Go on after a connect; raises OSError."""

    # -- common

    def start(self) -> None:
        """Open the socket (in the calling thread's namespace), bind it and send the first packet."""
        self.began = time.monotonic()
        try:
            sock = socket.socket(
                self.flow.family.af,
                self.kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC,
                self.number,
            )
        except OSError as error:
            self._finish("no-route", errno_word(error))
            return
        self.socket = sock
        try:
            errqueue.enable(sock, self.flow.family)
            self._bind(sock)
            self.begin()
        except OSError as error:
            self._local(error)

    def _to(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """The address to connect to."""
        return (self.flow.address, port, 0, self.scope) if self.scope else (self.flow.address, port)

    def _bind(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((self.source[0], self.source[1]))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise Unmeasured(f"port {self.source[1]} of {self.flow.origin} is taken") from None

    def _local(self, error: OSError) -> None:
        """An error of the first call: no packet left, or a rule in OUTPUT rejected it (the trace shows
        that).
        """
        if error.errno in _LOCAL_ERRORS or self.key is None:
            self._finish("no-route", errno_word(error))
        elif error.errno not in (*_DROPPED, errno.EINPROGRESS):
            self.failed(error)

    def note_key(self, protocol: int, sport: int | None = None, dport: int | None = None) -> None:
        """Remember the first packet's addresses, now that the socket has them."""
        assert self.socket is not None
        name = self.socket.getsockname()
        self.source = (name[0].partition("%")[0], name[1] if sport is None else sport)
        port = self.flow.port or 0
        self.key = make_key(
            protocol, self.source[0], self.source[1], self.flow.address, port if dport is None else dport
        )

    def event(self, mask: int) -> None:
        """The socket has something to say."""
        try:
            if mask & select.EPOLLERR:
                assert self.socket is not None
                number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                queued = errqueue.read(self.socket)
                if number or queued is not None:
                    self._error(number or (queued.errno if queued else 0), queued)
                    return
            if mask & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLRDHUP):
                self.readable()
            if self.result is None and mask & select.EPOLLOUT:
                self.writable()
        except BlockingIOError:
            return
        except OSError as error:
            self.failed(error)

    def failed(self, error: OSError) -> None:
        """A call failed after the first packet was sent."""
        assert self.socket is not None
        self._error(error.errno or 0, errqueue.read(self.socket))

    def _error(self, number: int, queued: errqueue.QueuedError | None) -> None:
        if number == errno.EHOSTUNREACH and (queued is None or queued.icmp is None):
            self.expire()  # a neighbour was searched for in vain: see Harvest
            assert self.result is not None
            self.result.in_vain = True
        elif queued is not None and queued.icmp is not None:
            self._finish("unreachable")
            assert self.result is not None
            self.result.icmp = queued.icmp
        elif number == errno.ECONNREFUSED:
            self._finish("refused", "ECONNREFUSED")
        elif number in (errno.ECONNRESET, errno.EPIPE):
            self._finish("closed", errno.errorcode[number])
        elif number in _DROPPED:
            return
        elif number == errno.ETIMEDOUT:
            self.expire()  # TCP itself gave up: nobody answered
        elif number in _LOCAL_ERRORS or number == errno.EMSGSIZE:
            self._finish("no-route", errno.errorcode[number])
        else:
            word = errno.errorcode.get(number, str(number))
            raise Unmeasured(
                f"a socket of {self.flow.origin} failed with {word}, which tells nothing of the path"
            )

    def expire(self) -> None:
        """Nobody answered in time, or the trace showed a drop."""
        self._finish("timeout")

    def _finish(self, outcome: OutcomeName, word: str | None = None) -> None:
        self.lasted = time.monotonic() - self.began
        source = self.source if self.key is not None else None
        self.result = ProbeResult(outcome, source, self.key, errno=word)

    def close(self) -> None:
        """Close the socket; idempotent."""
        if self.socket is not None:
            self.socket.close()


def padded(data: bytes, size: int | None) -> bytes:
    """The data, made ``size`` octets long if it is shorter."""
    return data if size is None else data.ljust(size, b"x")


def errno_word(error: OSError) -> str:
    """``ENETUNREACH``."""
    return errno.errorcode.get(error.errno or 0, str(error.errno))


class StreamProbe(SocketProbe):
    """A TCP (or SCTP) connection: connect, ask with a token, read the answer to its end."""

    def __init__(self, flow: Flow, token: str, source: tuple[str, int]) -> None:
        super().__init__(flow, token, source)
        self.number = PROTOCOLS[flow.protocol]
        self.wants = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP
        self.connected = False
        self.received = b""

    def _bind(self, sock: socket.socket) -> None:
        super()._bind(sock)
        if self.flow.source_port is not None:  # so that a repetition does not find the port in TIME_WAIT
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def begin(self) -> None:
        """Start the connection."""
        assert self.socket is not None
        assert self.flow.port is not None
        number = self.socket.connect_ex(self._to(self.flow.port))
        if number == errno.EADDRNOTAVAIL and self._has_address():
            raise Unmeasured(f"port {self.source[1]} of {self.flow.origin} still has an earlier connection")
        if number in _LOCAL_ERRORS:
            raise OSError(number, os.strerror(number))
        self.note_key(self.number)
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, os.strerror(number))

    def _has_address(self) -> bool:
        """Whether the node has an address to ask from: what is not available, then, is the port."""
        assert self.flow.port is not None
        with contextlib.suppress(OSError), socket.socket(self.flow.family.af, socket.SOCK_DGRAM) as other:
            other.bind((self.source[0], 0))
            other.connect(self._to(self.flow.port))
            return True
        return False

    def writable(self) -> None:
        """The connection is established: send the request."""
        if self.connected:
            return
        assert self.socket is not None
        self.connected = True
        self.deadline = time.monotonic() + patience()  # a program answers now, no longer the kernel
        self.wants = select.EPOLLIN | select.EPOLLRDHUP
        lines = f"GET /{self.token} HTTP/1.1\r\nHost: {bracketed(self.flow.address)}\r\nConnection: close\r\n"
        if self.flow.size is not None:
            lines += f"X-Data: {'x' * max(1, self.flow.size - len(lines) - len(_X_DATA))}\r\n"
        request = f"{lines}\r\n".encode()
        try:
            self.socket.send(request)
        except OSError:
            self.socket.send(request)  # an ICMP error does not end an established connection

    def readable(self) -> None:
        """Read the answer; its end, or a complete reply of netlab's responder, ends the flow."""
        assert self.socket is not None
        data = self.socket.recv(_REPLY_LIMIT)
        self.received += data[: _REPLY_LIMIT - len(self.received)]
        reply = parse_reply(self.received)
        if data and reply is None and len(self.received) < _REPLY_LIMIT:
            return
        self._finish("ok" if self.received else "closed")
        assert self.result is not None
        if reply is not None and reply.token == self.token:
            self.result.reply = reply

    def expire(self) -> None:
        """Half an answer is one; a connection that was taken and never answered is ``closed``."""
        if self.received:
            self._finish("ok")
        else:
            self._finish("closed" if self.connected else "timeout")

    def _error(self, number: int, queued: errqueue.QueuedError | None) -> None:
        """An ICMP error does not end an established connection: TCP retransmits until there is an answer."""
        if not self.connected or number in _CONNECTION_ENDS:
            super()._error(number, queued)

    @property
    def anonymous(self) -> bool:
        """Whether data came from something other than netlab's responder, so it does not tell its peer's
        address.
        """
        return self.result is not None and self.result.outcome == "ok" and self.result.reply is None

    def failed(self, error: OSError) -> None:
        """A reset after some data does not invalidate the data."""
        if self.received:
            self._finish("ok")
        else:
            super().failed(error)


class DatagramProbe(SocketProbe):
    """One UDP datagram and its answer."""

    kind = socket.SOCK_DGRAM
    #: receives what comes to the probe's port from an address other than the target's
    _strays: socket.socket | None = None

    def begin(self) -> None:
        """Send the token."""
        assert self.socket is not None
        assert self.flow.port is not None
        self.socket.connect(self._to(self.flow.port))
        self.note_key(PROTOCOLS["udp"])
        if self.looks_for_strays:
            self._strays = socket.socket(self.flow.family.af, self.kind | socket.SOCK_NONBLOCK)
            self._strays.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._strays.bind(self.source if not self.scope else (*self.source, 0, self.scope))
        self.socket.send(padded(self.token.encode() + b"\n", self.flow.size))

    def readable(self) -> None:
        """Any answer counts; that of netlab's responder contains more."""
        assert self.socket is not None
        data = self.socket.recv(_REPLY_LIMIT)
        self._finish("ok")
        assert self.result is not None
        reply = parse_reply(data)
        if reply is not None and reply.token == self.token:
            self.result.reply = reply

    def expire(self) -> None:
        """There was no answer from the target's address; there may be one from another address."""
        super().expire()
        if self._strays is None or self.result is None:
            return
        try:
            data, sender = self._strays.recvfrom(_REPLY_LIMIT)
        except OSError:
            return
        reply = parse_reply(data)
        if reply is not None and reply.token == self.token:
            self.result.lost_in = reply.node
        self.result.stray = sender[0].partition("%")[0], sender[1]

    def close(self) -> None:
        """Close the sockets; idempotent."""
        super().close()
        if self._strays is not None:
            self._strays.close()
            self._strays = None


class EchoProbe(SocketProbe):
    """One ICMP or ICMPv6 echo request; ``source`` gives its identifier in the port's place."""

    kind = socket.SOCK_RAW

    def __init__(self, flow: Flow, token: str, source: tuple[str, int]) -> None:
        super().__init__(flow, token, source)
        self.number = ICMP[flow.family]

    def _bind(self, sock: socket.socket) -> None:
        if self.source[0]:
            sock.bind((self.source[0], 0))

    def begin(self) -> None:
        """Send the request."""
        assert self.socket is not None
        identifier = self.source[1]
        self.socket.connect(self._to(0))
        self.note_key(self.number, identifier, 1)
        kind = 8 if self.flow.family is Family.IPV4 else 128
        body = padded(self.token.encode(), self.flow.size)
        sum_of = checksum(_ECHO.pack(kind, 0, 0, identifier, 1) + body)
        self.socket.send(_ECHO.pack(kind, 0, sum_of, identifier, 1) + body)

    def readable(self) -> None:
        """An echo reply with our identifier; a raw socket also receives others'."""
        assert self.socket is not None
        data = self.socket.recv(_REPLY_LIMIT)
        if self.flow.family is Family.IPV4:
            data = data[(data[0] & 15) * 4 :]
        answer = 0 if self.flow.family is Family.IPV4 else 129
        if len(data) >= 8 and data[0] == answer and data[4:6] == self.source[1].to_bytes(2, "big"):
            self._finish("ok")


def probe_for(flow: Flow, token: str, source: tuple[str, int]) -> SocketProbe:
    """The probe of a flow's protocol."""
    if flow.protocol == "udp":
        return DatagramProbe(flow, token, source)
    if flow.protocol == "icmp":
        return EchoProbe(flow, token, source)
    return StreamProbe(flow, token, source)
