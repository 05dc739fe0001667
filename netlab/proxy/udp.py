"""UDP: one connected socket to the backend for each client, as docker-proxy keeps it.

What moby's ``cmd/docker-proxy/udp_proxy_linux.go`` does is done here too, oddities included: a flow ends 90 s
after the backend's last answer, however much the client sends; empty datagrams open a flow but are not passed
on; an ICMP error from the backend ends the flow in silence (from Docker 28 on, "port unreachable" does not).
What is not docker-proxy's: the number of flows is bounded, and the one that would expire first makes room.
"""

from __future__ import annotations

import _socket
import errno
import heapq
import time
from typing import TYPE_CHECKING

from netlab.proxy.loop import IN
from netlab.proxy.sockets import IP_PKTINFO, SockAddr, family_of, shown, sockaddr, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.proxy.loop import Loop
    from netlab.proxy.pairs import Pairs
    from netlab.proxy.spec import Spec

#: The most flows of one listener; each costs a descriptor.
FLOWS = 4096
#: The longest datagram (UDPBufSize of docker-proxy).
LONGEST = 65507
#: Datagrams until others have their turn.
TURN = 32

Ancillary = list[tuple[int, int, bytes]]

_buffer = bytearray(LONGEST)
_view = memoryview(_buffer)
_cmsg_space = _socket.CMSG_SPACE(20)  # struct in6_pktinfo, the longer one


class Flow:
    """One client's socket to the backend."""

    __slots__ = ("_service", "client", "heard", "reply_from", "sock")

    def __init__(
        self, service: UdpService, sock: _socket.socket, client: SockAddr, reply_from: Ancillary
    ) -> None:
        self._service = service
        self.sock = sock
        self.client = client
        self.reply_from = reply_from
        self.heard = time.monotonic()  #: when the backend last answered

    def on_event(self, _events: int) -> None:
        """The backend answered, or an ICMP error came."""
        self._service.answer(self)


class UdpService:
    """A bound UDP socket, its flows, and where they lead."""

    def __init__(
        self,
        sock: _socket.socket,
        spec: Spec,
        loop: Loop,
        pairs: Pairs,
        log: Callable[[str], None] | None = None,
        limit: int = FLOWS,
        make: Callable[[int, int], _socket.socket] | None = None,
    ) -> None:
        """``make`` makes a socket of a family and kind for the backend, if it is in another namespace."""
        assert spec.backend is not None
        self._sock = sock
        self._loop = loop
        self._pairs = pairs
        self._log = log
        self._limit = limit
        self._make = make
        self._timeout = spec.timeout
        self._passed = spec.passed
        self._bound: SockAddr = sock.getsockname()
        self._backend: SockAddr = sockaddr(*spec.backend)
        self._family = family_of(spec.backend[0])
        self._flows: dict[SockAddr, Flow] = {}
        #: one entry a flow: (when it may expire, tie-break, flow); put off when found to be too early
        self._expiry: list[tuple[float, int, Flow]] = []
        self._count = 0
        loop.watch(sock.fileno(), self._on_event, IN)

    def close(self) -> None:
        """Stop listening and end all flows."""
        for flow in self._flows.values():
            self._loop.discard(flow.sock)
        self._flows.clear()
        self._expiry.clear()
        self._loop.cancel(self._expire)
        self._loop.discard(self._sock)

    def _on_event(self, _events: int) -> None:
        """Pass datagrams on to the backend."""
        for _ in range(TURN):
            try:
                if self._passed:
                    got, ancillary, _, client = self._sock.recvmsg_into([_buffer], _cmsg_space)
                else:
                    got, client = self._sock.recvfrom_into(_buffer)
                    ancillary = []
            except BlockingIOError:
                return
            flow = self._flows.get(client)
            if flow is None:
                flow = self._open(client, ancillary)
                if flow is None:
                    continue
            if got:
                try:
                    flow.sock.send(_view[:got])
                except OSError as error:
                    self._report(error)

    def answer(self, flow: Flow) -> None:
        """Pass the backend's datagrams on to the client."""
        for _ in range(TURN):
            try:
                got = flow.sock.recv_into(_buffer)
            except BlockingIOError:
                return
            except OSError as error:
                if self._passed and error.errno == errno.ECONNREFUSED:
                    continue
                self._drop(flow)
                return
            flow.heard = time.monotonic()
            if not got:
                continue
            try:
                if flow.reply_from:
                    self._sock.sendmsg([_view[:got]], flow.reply_from, 0, flow.client)
                else:
                    self._sock.sendto(_view[:got], flow.client)
            except BlockingIOError:
                continue  # the interface's queue is full: datagrams may be lost
            except OSError:
                self._drop(flow)
                return

    def _open(self, client: SockAddr, ancillary: Ancillary) -> Flow | None:
        """A new flow, or None if it cannot be made: the datagram is lost."""
        if len(self._flows) >= self._limit:
            self._make_room()
        sock = None
        try:
            kind = _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
            sock = self._make(self._family, kind) if self._make else _socket.socket(self._family, kind, 0)
            sock.connect(self._backend)
        except OSError as error:
            if sock is not None:
                sock.close()
            self._report(error)
            return None
        flow = Flow(self, sock, client, _reply_from(ancillary))
        self._flows[client] = flow
        self._count += 1
        heapq.heappush(self._expiry, (flow.heard + self._timeout, self._count, flow))
        self._loop.at(flow.heard + self._timeout, self._expire)
        self._loop.watch(sock.fileno(), flow.on_event, IN)
        self._pairs.add("udp", client, self._bound, sock.getsockname(), self._backend)
        return flow

    def _drop(self, flow: Flow) -> None:
        self._flows.pop(flow.client, None)
        self._loop.discard(flow.sock)
        if len(self._expiry) > 2 * len(self._flows) + 64:  # mostly flows that ended before their time
            self._expiry = [entry for entry in self._expiry if self._flows.get(entry[2].client) is entry[2]]
            heapq.heapify(self._expiry)

    def _expire(self, now: float) -> float | None:
        """End flows that have been silent for too long; returns when to check again."""
        while self._expiry and self._expiry[0][0] <= now:
            self._next(now)
        return self._expiry[0][0] if self._expiry else None

    def _make_room(self) -> None:
        """End the flow that has been silent for longest."""
        count = len(self._flows)
        while len(self._flows) >= count:
            self._next(self._expiry[0][0])

    def _next(self, now: float) -> None:
        """End the flow at the head of the heap, or postpone it if it has had traffic since."""
        _, count, flow = heapq.heappop(self._expiry)
        if self._flows.get(flow.client) is not flow:
            return  # it has ended before
        due = flow.heard + self._timeout
        if due > now:
            heapq.heappush(self._expiry, (due, count, flow))
        else:
            self._drop(flow)

    def _report(self, error: OSError) -> None:
        if self._log:
            self._log(f"Can't proxy a datagram to udp/{shown(self._backend)}: {words(error)}")


def _reply_from(ancillary: Ancillary) -> Ancillary:
    """The control message that makes an answer leave from the address that the client sent to (ip(7), RFC
    3542).
    """
    for level, kind, data in ancillary:
        if level == _socket.IPPROTO_IP and kind == IP_PKTINFO:
            # struct in_pktinfo: interface, local address, the header's destination
            return [(level, kind, b"\0\0\0\0" + data[8:12] + b"\0\0\0\0")]
        if level == _socket.IPPROTO_IPV6 and kind == _socket.IPV6_PKTINFO:
            # struct in6_pktinfo: address, interface
            return [(level, kind, data[:16] + b"\0\0\0\0")]
    return []
