"""UDP with a container by frames, and sockets of the host's.

A datagram of the container's that answers a client of the host's goes out by the listener; any other has a
socket of its own for each pair of endpoints.
"""

from __future__ import annotations

import _socket
import errno
import struct
import time
from typing import TYPE_CHECKING

from netlab.proxy.loop import IN
from netlab.proxy.sockets import IP_PKTINFO, SockAddr, plain
from netlab.proxy.usermode.frames import UDP, Packet
from netlab.proxy.usermode.link import Link, packed, text

if TYPE_CHECKING:
    from netlab.proxy.loop import Loop
    from netlab.proxy.pairs import Pairs

_HEADER = struct.Struct("!HHHH")
#: The most sockets; seconds of silence until one is closed (passt's UDP_CONN_TIMEOUT); the longest datagram.
MOST, SILENCE, LONGEST = 4096, 180.0, 65507
#: Datagrams until others have their turn.
TURN = 32
#: ICMP's port, host and net unreachable, by errno: (IPv4, IPv6)
_ERRORS = {
    errno.ECONNREFUSED: ((3, 3), (1, 4)),
    errno.EHOSTUNREACH: ((3, 1), (1, 3)),
    errno.ENETUNREACH: ((3, 0), (1, 0)),
}

#: (container's address, its port, the other's address, its port)
Key = tuple[bytes, int, bytes, int]
#: the listener, its client, and the control message that lets an answer leave from the address that was asked
Client = tuple[_socket.socket, SockAddr, list[tuple[int, int, bytes]]]


class Flow:
    """A socket of the host's for one pair of the container's endpoints."""

    __slots__ = ("_udp", "key", "sock", "used")

    def __init__(self, udp: GuestUdp, key: Key, sock: _socket.socket) -> None:
        self._udp = udp
        self.key = key
        self.sock = sock
        self.used = time.monotonic()

    def event(self, _events: int) -> None:
        """An answer, or an ICMP error."""
        for _ in range(TURN):
            try:
                data = self.sock.recv(LONGEST)
            except BlockingIOError:
                return
            except OSError as error:
                self._udp.refused(self.key, error.errno or 0)
                return
            self.used = time.monotonic()
            self._udp.send((self.key[0], self.key[1]), (self.key[2], self.key[3]), data)


class GuestUdp:
    """All datagrams of one container."""

    def __init__(self, loop: Loop, link: Link, pairs: Pairs) -> None:
        self._loop = loop
        self._link = link
        self._pairs = pairs
        self._flows: dict[Key, Flow] = {}
        self._clients: dict[Key, Client] = {}

    def take(self, packet: Packet) -> None:
        """A datagram of the container's."""
        if len(packet.segment) < _HEADER.size:
            return
        sport, dport, _, _ = _HEADER.unpack_from(packet.segment)
        key, data = (packet.src, sport, packet.dst, dport), packet.segment[_HEADER.size :]
        client = self._clients.get(key)
        if client is not None:
            if self._link.leads_to(key[2]) is not None:  # else not even an answer
                answer(client, data)
            return
        flow = self._flows.get(key)
        try:
            if flow is None:
                flow = self._open(key)
                if flow is None:
                    return
            flow.used = time.monotonic()
            flow.sock.send(data)
        except OSError as error:
            self.refused(key, error.errno or 0, data)

    def _open(self, key: Key) -> Flow | None:
        """A socket towards where the container sends; raises OSError, None if that is nowhere."""
        target = self._link.leads_to(key[2])
        if target is None:
            return None
        if len(self._flows) >= MOST:
            self._close(min(self._flows.values(), key=lambda flow: flow.used))
        six = len(target) == 16
        sock = _socket.socket(
            _socket.AF_INET6 if six else _socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK, 0
        )
        where: SockAddr = (text(target), key[3], 0, 0) if six else (text(target), key[3])
        try:
            if self._link.settings.keeps_ports:
                sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
                sock.bind(("::" if six else "0.0.0.0", key[1]))
            sock.connect(where)
        except OSError:
            sock.close()
            raise
        self._pairs.add("udp", (text(key[0]), key[1]), (text(key[2]), key[3]), sock.getsockname(), where)
        flow = self._flows[key] = Flow(self, key, sock)
        self._loop.watch(sock.fileno(), flow.event, IN)
        self._loop.at(flow.used + SILENCE, self._expire)
        return flow

    def _close(self, flow: Flow) -> None:
        if self._flows.pop(flow.key, None) is not None:
            self._loop.discard(flow.sock)

    def _expire(self, now: float) -> float | None:
        for flow in [one for one in self._flows.values() if one.used + SILENCE <= now]:
            self._close(flow)
        return min((one.used for one in self._flows.values()), default=now) + SILENCE if self._flows else None

    def refused(self, key: Key, code: int, data: bytes = b"") -> None:
        """Tell the container why a datagram of its went nowhere, if there is a word for it."""
        kinds = _ERRORS.get(code)
        if kinds is not None:
            header = _HEADER.pack(key[1], key[3], _HEADER.size + len(data), 0)
            about = Packet(key[0], key[2], UDP, header + data)
            self._link.refuse(about, kinds[len(key[0]) == 16])

    def send(self, guest: tuple[bytes, int], other: tuple[bytes, int], data: bytes) -> None:
        """A datagram to the container."""
        header = _HEADER.pack(other[1], guest[1], _HEADER.size + len(data), 0)
        self._link.send(Packet(other[0], guest[0], UDP, header + data))

    def call(self, client: Client, asked: SockAddr, port: int, data: bytes) -> None:
        """A datagram of a client of the host's, for the container's ``port``."""
        source = packed(plain(client[1][0]).partition("%")[0])
        guest = self._link.guest(4 if len(source) == 4 else 6)
        if guest is None:
            return
        other = (self._link.seen_as(source), client[1][1])
        key = (guest, port, *other)
        if key not in self._clients:
            if len(self._clients) >= MOST:
                self._clients.pop(next(iter(self._clients)))
            self._pairs.add("udp", client[1], asked, (text(other[0]), other[1]), (text(guest), port))
        self._clients[key] = client
        self.send((guest, port), other, data)

    def forget(self, listener: _socket.socket) -> None:
        """A listener is closed: nobody is answered by it."""
        self._clients = {key: one for key, one in self._clients.items() if one[0] is not listener}


def answer(client: Client, data: bytes) -> None:
    """Send a datagram to a client of a listener's, from the address that it asked."""
    listener, address, control = client
    try:
        listener.sendmsg([data], control, 0, address)
    except BlockingIOError:
        return  # the interface's queue is full: datagrams may be lost
    except OSError:
        return  # the client cannot be reached any more


def asked_of(
    control: list[tuple[int, int, bytes]], bound: SockAddr
) -> tuple[SockAddr, list[tuple[int, int, bytes]]]:
    """The address that a client asked, and the control message that lets answers leave from it (ip(7))."""
    for level, kind, data in control:
        if level == _socket.IPPROTO_IP and kind == IP_PKTINFO:
            return (text(data[8:12]), bound[1]), [(level, kind, b"\0\0\0\0" + data[8:12] + b"\0\0\0\0")]
        if level == _socket.IPPROTO_IPV6 and kind == _socket.IPV6_PKTINFO:
            return (text(data[:16]), bound[1]), [(level, kind, data[:16] + b"\0\0\0\0")]
    return bound, []
