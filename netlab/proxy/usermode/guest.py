"""A container's user-mode network: its link, TCP, UDP and pings, and the listeners that lead to it."""

from __future__ import annotations

import _socket
import errno
import os
from typing import TYPE_CHECKING, Protocol

from netlab.proxy.loop import IN
from netlab.proxy.sockets import SockAddr, family_of, pktinfo, plain, sockaddr
from netlab.proxy.usermode.frames import ICMP, ICMPV6, TCP, UDP, Packet
from netlab.proxy.usermode.guest_tcp import GuestTcp
from netlab.proxy.usermode.guest_udp import GuestUdp, answer, asked_of
from netlab.proxy.usermode.link import Link, Settings, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from netlab.proxy.loop import Loop
    from netlab.proxy.pairs import Pairs
    from netlab.proxy.spec import Spec
    from netlab.proxy.tcp_connection import Streams

#: Connections and datagrams taken until others have their turn.
TURN = 16
#: The longest datagram, and room for struct in6_pktinfo.
LONGEST, _CONTROL = 65507, _socket.CMSG_SPACE(20)
_LOOPBACK = ("127.", "::1")
#: The most pings in flight.
PINGS = 256
_ECHO = {ICMP: (8, 0), ICMPV6: (128, 129)}


class Namespaces:
    """Descriptors of the namespaces that the program works in: the host's, its frames', the container's.

    ``enter`` moves the thread into the namespace of a descriptor.
    """

    __slots__ = ("enter", "frames", "guest", "host")

    def __init__(self, host: int, frames: int, guest: int, enter: Callable[[int], None]) -> None:
        self.enter = enter
        self.host = host
        self.frames = frames
        self.guest = guest

    def all(self) -> set[int]:
        """All three."""
        return {self.host, self.frames, self.guest}

    def socket_inside(self, family: int, kind: int) -> _socket.socket:
        """A socket in the container's namespace; raises OSError."""
        self.enter(self.guest)
        try:
            return _socket.socket(family, kind | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC, 0)
        finally:
            self.enter(self.host)


class Guest:
    """One container's network. The thread is in the host's namespace before and after."""

    def __init__(
        self, loop: Loop, streams: Streams, pairs: Pairs, settings: Settings, spaces: Namespaces
    ) -> None:
        self.loop = loop
        self.streams = streams
        self.pairs = pairs
        self.spaces = spaces
        spaces.enter(spaces.frames)
        try:
            self.link = Link(settings)
        finally:
            spaces.enter(spaces.host)
        self.tcp = GuestTcp(loop, self.link, pairs)
        self.udp = GuestUdp(loop, self.link, pairs)
        self._pings: dict[tuple[bytes, bytes, int], _socket.socket] = {}
        loop.watch(self.link.sock.fileno(), lambda _events: self.link.receive(self._take), IN)

    def _take(self, packet: Packet) -> None:
        if packet.protocol == TCP:
            self.tcp.take(packet)
        elif packet.protocol == UDP:
            self.udp.take(packet)
        elif packet.protocol in _ECHO and packet.segment[:1] == bytes(_ECHO[packet.protocol][:1]):
            self._ping(packet)

    def _ping(self, packet: Packet) -> None:
        """An echo request goes out by a ping socket, if the host lets the user have one (icmp(7)).

        Some addresses are the program's own.
        """
        if text(packet.dst) in self.link.settings.echoes:
            segment = bytes(_ECHO[packet.protocol][1:]) + packet.segment[1:]
            self.link.send(Packet(packet.dst, packet.src, packet.protocol, segment))
            return
        target = self.link.leads_to(packet.dst)
        if target is None or len(packet.segment) < 8:
            return
        number = int.from_bytes(packet.segment[4:6])
        key = (packet.src, packet.dst, number)
        family = _socket.AF_INET6 if len(target) == 16 else _socket.AF_INET
        try:
            sock = self._pings.get(key)
            if sock is None:
                sock = _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_NONBLOCK, packet.protocol)
                if len(self._pings) >= PINGS:
                    self.loop.discard(self._pings.pop(next(iter(self._pings))))
                self._pings[key] = sock
                sock.bind(sockaddr("::" if family == _socket.AF_INET6 else "0.0.0.0", number))
                pinging = sock
                self.loop.watch(sock.fileno(), lambda _events: self._ponged(pinging, packet), IN)
            sock.sendto(packet.segment, sockaddr(text(target), 0))
        except OSError:
            return  # forbidden, or it goes nowhere: pasta and slirp4netns say nothing, too

    def _ponged(self, sock: _socket.socket, asked: Packet) -> None:
        try:
            data = sock.recv(LONGEST)
        except OSError:
            return
        if data[:1] == bytes(_ECHO[asked.protocol][1:]):
            segment = data[:4] + asked.segment[4:6] + data[6:]
            self.link.send(Packet(asked.dst, asked.src, asked.protocol, segment))

    # -- listeners

    def listen(self, sock: _socket.socket, spec: Spec) -> Listening:
        """Lead what comes to a bound socket to the container."""
        return TcpListener(self, sock, spec) if spec.protocol == "tcp" else UdpListener(self, sock, spec)

    def spliced(self, client: SockAddr, kind: int, port: int) -> tuple[_socket.socket, SockAddr] | None:
        """A socket inside for a client on the host's loopback, and where it leads; None: by frames.

        Raises OSError.
        """
        address = plain(client[0])
        if not self.link.settings.splices or not address.startswith(_LOOPBACK):
            return None
        guest = self.link.guest(6 if ":" in address else 4)
        if guest is None:
            raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        where = sockaddr(text(guest), port)
        return self.spaces.socket_inside(family_of(where[0]), kind), where


class Listening(Protocol):
    """A listener that leads to a container."""

    def close(self) -> None:
        """Stop listening."""


class TcpListener:
    """A listening socket whose connections lead to a port of the container's."""

    def __init__(self, guest: Guest, sock: _socket.socket, spec: Spec) -> None:
        assert spec.backend is not None
        self._guest = guest
        self._sock = sock
        self._key = spec.key
        self._port = spec.backend[1]
        self._dialling: dict[_socket.socket, _socket.socket] = {}
        self._accept = sock._accept  # type: ignore[attr-defined]
        guest.loop.watch(sock.fileno(), self._event, IN)

    def close(self) -> None:
        """Stop listening and cut the connections."""
        self._guest.loop.discard(self._sock)
        for own, client in self._dialling.items():
            self._guest.loop.discard(own)
            client.close()
        self._dialling.clear()
        self._guest.streams.cut(self._key)
        self._guest.tcp.cut(self._key)

    def _event(self, _events: int) -> None:
        for _ in range(TURN):
            try:
                fd, address = self._accept()
            except OSError:  # none waits, or there is no descriptor left: the backlog keeps it
                return
            client = _socket.socket(self._sock.family, _socket.SOCK_STREAM, 0, fd)
            client.setblocking(False)
            try:
                inside = self._guest.spliced(address, _socket.SOCK_STREAM, self._port)
            except OSError:
                client.close()
                continue
            if inside is None:
                self._guest.tcp.call(client, address, self._key, self._port)
            else:
                self._splice(client, address, *inside)

    def _splice(
        self, client: _socket.socket, address: SockAddr, own: _socket.socket, where: SockAddr
    ) -> None:
        code = own.connect_ex(where)
        if code not in (0, errno.EINPROGRESS):
            client.close()
            own.close()
            return
        self._guest.pairs.add("tcp", address, client.getsockname(), own.getsockname(), where)
        self._dialling[own] = client
        self._guest.loop.watch(own.fileno(), lambda _events: self._spliced(own, where))

    def _spliced(self, own: _socket.socket, where: SockAddr) -> None:
        code = own.connect_ex(where)
        if code == errno.EALREADY:
            return
        client = self._dialling.pop(own)
        if code in (0, errno.EISCONN):
            self._guest.loop.epoll.unregister(own.fileno())
            self._guest.streams.begin(self._key, client, own)
            return
        client.close()
        self._guest.loop.discard(own)


class UdpListener:
    """A datagram socket whose datagrams lead to a port of the container's."""

    def __init__(self, guest: Guest, sock: _socket.socket, spec: Spec) -> None:
        assert spec.backend is not None
        self._guest = guest
        self._sock = sock
        self._port = spec.backend[1]
        self._bound: SockAddr = sock.getsockname()
        self._inside: dict[SockAddr, _socket.socket] = {}
        pktinfo(sock)
        guest.loop.watch(sock.fileno(), self._event, IN)

    def close(self) -> None:
        """Stop listening; nobody is answered any more."""
        self._guest.udp.forget(self._sock)
        for own in self._inside.values():
            self._guest.loop.discard(own)
        self._guest.loop.discard(self._sock)

    def _event(self, _events: int) -> None:
        for _ in range(TURN):
            try:
                data, control, _, client = self._sock.recvmsg(LONGEST, _CONTROL)
            except OSError:
                return
            asked, reply_from = asked_of(control, self._bound)
            try:
                own = self._inside.get(client) or self._splice(client, asked, reply_from)
                if own is not None:
                    own.send(data)
                    continue
            except OSError:
                continue
            self._guest.udp.call((self._sock, client, reply_from), asked, self._port, data)

    def _splice(
        self, client: SockAddr, asked: SockAddr, reply_from: list[tuple[int, int, bytes]]
    ) -> _socket.socket | None:
        """A socket inside for a client on the host's loopback, with the client's port; None: by frames."""
        found = self._guest.spliced(client, _socket.SOCK_DGRAM, self._port)
        if found is None:
            return None
        own, where = found
        try:
            own.bind(sockaddr("::" if ":" in where[0] else "0.0.0.0", client[1]))
            own.connect(where)
        except OSError:
            own.close()
            raise
        self._guest.pairs.add("udp", client, asked, own.getsockname(), where)
        if len(self._inside) >= PINGS:
            self._guest.loop.discard(self._inside.pop(next(iter(self._inside))))
        self._inside[client] = own
        back = (self._sock, client, reply_from)
        self._guest.loop.watch(own.fileno(), lambda _events: self._answered(own, back), IN)
        return own

    @staticmethod
    def _answered(
        own: _socket.socket, back: tuple[_socket.socket, SockAddr, list[tuple[int, int, bytes]]]
    ) -> None:
        try:
            answer(back, own.recv(LONGEST))
        except OSError:
            return  # an ICMP error: the port is closed; the client gets no answer
