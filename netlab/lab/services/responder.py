"""The built-in servers of all containers: one process, one epoll loop.

Its answers have the format of :mod:`netlab.model.reply`. It answers a TCP client once the request is complete
(an HTTP header's empty line, or else the first line, or else the end of the data), and then closes the
connection in the order that lets the client read everything: shutdown, drain, close. No client can block it:
a client has :data:`PATIENCE` seconds, a request :data:`REQUEST` bytes, and if descriptors run out, the client
that has waited longest is dropped. No client can crash it: an error ends only the datagram or connection that
caused it (:meth:`Responder._survive`).
"""

# ruff: noqa: ARG002 - the two kinds of ports share their signatures

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable

from netlab.kernel import netns
from netlab.kernel.channel import Channel, Message
from netlab.lab.services import dns
from netlab.lab.supervisor.journal import say_error
from netlab.model.error_messages import to_message
from netlab.model.errors import LabError
from netlab.model.family import unmapped
from netlab.model.reply import Reply, token_of

#: What to answer: network namespace (an open descriptor), then per port (protocol, port, node, service); the
#: protocols ``dns/udp/ADDRESS`` and ``dns/tcp/ADDRESS`` are a DNS server's, and ``udp/routed`` answers as a
#: server without IP_PKTINFO does, from the address that the routing table picks.
Spec = list[tuple[int, list[tuple[str, int, str, str]]]]

PATIENCE = 30.0
REQUEST = 16 << 10
#: How much a client may send after its answer before it is cut off.
DRAIN = 1 << 20
MAX_CLIENTS = 8192
BACKLOG = 1024
#: Datagrams or connections taken of one socket before the others have their turn.
BATCH = 64
#: The number of errors that are logged: whoever can cause one can cause many.
TOLD = 20

IPPROTO_SCTP = 132
IP_PKTINFO = 8
_IN_PKTINFO = struct.Struct("=I4s4s")  # ip(7): interface, local address, header's destination
_IN6_PKTINFO = struct.Struct("=16sI")  # ipv6(7)


def _plain(address: str) -> str:
    """An IPv4 client's address on a dual-stack socket, as an IPv4 address; without a scope."""
    return unmapped(address.partition("%")[0])


class _Port:
    """A listening socket: its owner, and how it answers."""

    __slots__ = ("family", "node", "port", "protocol", "service", "sock")

    def __init__(
        self, sock: socket.socket, family: int, protocol: str, port: int, node: str, service: str
    ) -> None:
        self.sock = sock
        self.family = family
        self.protocol = protocol
        self.port = port
        self.node = node
        self.service = service

    def _reply(self, peer: tuple[str, int], local: str, request: bytes) -> Reply:
        return Reply(
            self.node, self.service, _plain(peer[0]), peer[1], _plain(local), self.port, token_of(request)
        )

    @property
    def once(self) -> bool:
        """Whether a connection carries one request."""
        return True

    def request(self, received: bytes, ended: bool) -> tuple[bytes, bytes] | None:
        """The first complete request, and the data after it; None if there is none yet."""
        return (received, b"") if _whole(received) or (ended and received) else None

    def stream(self, peer: tuple[str, int], local: str, request: bytes) -> bytes:
        """The answer to a request."""
        reply = self._reply(peer, local, request)
        return reply.datagram() if self.protocol == "sctp" else reply.http()

    def datagram(self, peer: tuple[str, int], local: str, request: bytes) -> bytes | None:
        """The answer to a datagram, None for none."""
        return self._reply(peer, local, request).datagram()


class _DnsPort:
    """One of the two sockets of a DNS server."""

    __slots__ = ("address", "family", "node", "protocol", "servers", "sock")

    def __init__(
        self, sock: socket.socket, protocol: str, node: str, address: str, servers: dns.Servers
    ) -> None:
        self.sock = sock
        self.family = int(sock.family)
        self.protocol = protocol
        self.node = node
        self.address = address
        self.servers = servers

    @property
    def once(self) -> bool:
        """Whether a connection carries one request."""
        return False

    def request(self, received: bytes, ended: bool) -> tuple[bytes, bytes] | None:
        """The first query, if it is complete, and the data after it."""
        return dns.next_query(received) if dns.whole(received) else None

    def stream(self, peer: tuple[str, int], local: str, request: bytes) -> bytes:
        """The answer to a query; empty if it is not a query."""
        server = self.servers.of(self.node, self.address)
        return dns.stream_answer(server, request, asker=_plain(peer[0]))

    def datagram(self, peer: tuple[str, int], local: str, request: bytes) -> bytes | None:
        """The answer to a query; None if it is not a query."""
        return self.servers.of(self.node, self.address).answer(request, asker=_plain(peer[0]))


class _Client:
    """One accepted connection, from its first byte to its end."""

    __slots__ = ("answered", "deadline", "drained", "ended", "output", "peer", "port", "received", "sock")

    def __init__(
        self, sock: socket.socket, peer: tuple[str, int], port: _Port | _DnsPort, deadline: float
    ) -> None:
        self.sock = sock
        self.peer = peer
        self.port = port
        self.deadline = deadline
        self.received = b""
        self.output = b""
        self.ended = False  #: it has finished sending
        self.answered = False  #: it has had its last answer
        self.drained = 0


def _whole(request: bytes) -> bool:
    """Whether a request can be answered now."""
    first, newline, _ = request.partition(b"\n")
    if not newline:
        return len(request) >= REQUEST
    if not first.rstrip(b"\r").endswith((b"HTTP/1.1", b"HTTP/1.0")):
        return True
    return b"\r\n\r\n" in request or b"\n\n" in request or len(request) >= REQUEST


def open_port(protocol: str, port: int, *, pktinfo: bool = True) -> tuple[socket.socket, int]:
    """A bound (and listening) wildcard socket in the calling thread's namespace, and its family.

    Without ``pktinfo`` a datagram socket does not learn which address was asked.
    Raises OSError; EPROTONOSUPPORT where the kernel has no such protocol.
    """
    kind, number = {
        "tcp": (socket.SOCK_STREAM, 0),
        "udp": (socket.SOCK_DGRAM, 0),
        "sctp": (socket.SOCK_STREAM, IPPROTO_SCTP),
    }[protocol]
    try:
        family, sock = socket.AF_INET6, socket.socket(socket.AF_INET6, kind, number)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:  # ipv6.disable=1
            raise
        family, sock = socket.AF_INET, socket.socket(socket.AF_INET, kind, number)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if protocol == "udp":
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, pktinfo)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, pktinfo)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("", port))
        if protocol != "udp":
            sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock, family


class Responder:
    """The event loop; ``private`` is the lab's directory, which has the data of its DNS servers."""

    def __init__(self, private: str = "") -> None:
        self.epoll = select.epoll()
        self.servers = dns.Servers(private)
        self.ports: dict[int, _Port | _DnsPort] = {}
        #: (protocol, port, node) as requested → descriptor
        self.opened: dict[tuple[str, int, str], int] = {}
        self.orders: Channel | None = None
        #: by descriptor, in the order in which they time out
        self.clients: OrderedDict[int, _Client] = OrderedDict()
        self.errors = 0

    def open(self, spec: Spec) -> list[str]:
        """Listen on everything; returns what this kernel cannot do. Raises LabError for a taken port."""
        lacking = []
        with netns.returning():
            for namespace, ports in spec:
                netns.enter(namespace)
                for protocol, port, node, service in ports:
                    try:
                        made = self._open(protocol, port, node, service)
                    except OSError as error:
                        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
                            lacking.append(
                                f"this kernel has no {protocol.upper()}: "
                                f"nothing answers on {port}/{protocol} of {node}"
                            )
                            continue
                        raise LabError(
                            f"{service} cannot listen on {port}/{protocol} in {node}: {error.strerror}"
                        ) from error
                    self.ports[made.sock.fileno()] = made
                    self.opened[protocol, port, node] = made.sock.fileno()
                    self.epoll.register(made.sock.fileno(), select.EPOLLIN)
        return lacking

    def _open(self, protocol: str, port: int, node: str, service: str) -> _Port | _DnsPort:
        if protocol.startswith("dns/"):
            _, below, address = protocol.split("/")
            return _DnsPort(dns.open_port(below, port, address), below, node, address, self.servers)
        below, _, routed = protocol.partition("/")
        sock, family = open_port(below, port, pktinfo=not routed)
        return _Port(sock, family, below, port, node, service)

    def close(self, protocol: str, port: int, node: str) -> None:
        """Stop listening on a port, and cut its connections."""
        fd = self.opened.pop((protocol, port, node), None)
        if fd is None:  # this kernel lacks the protocol
            return
        gone = self.ports.pop(fd)
        for client in [client for client in self.clients.values() if client.port is gone]:
            self._close(client)
        gone.sock.close()

    def take_orders(self, channel: Channel) -> None:
        """Take ``close`` and ``open`` messages from then on, each answered as :func:`serve` says."""
        self.orders = channel
        self.epoll.register(channel.fileno(), select.EPOLLIN)

    def _obey(self, channel: Channel) -> None:
        channel.fill()
        while (found := channel.take()) is not None:
            order, namespaces = found
            for protocol, port, node in order["close"]:
                self.close(protocol, port, node)
            answer: Message
            try:
                answer = {"lacking": self.open(list(zip(namespaces, order["open"], strict=True)))}
            except (LabError, OSError) as error:
                answer = to_message(error)
            for namespace in namespaces:
                os.close(namespace)
            channel.send(answer)

    def run(self, stop: int | None = None) -> None:
        """Answer until ``stop`` (a descriptor) becomes readable."""
        if stop is not None:
            self.epoll.register(stop, select.EPOLLIN)
        while True:
            for fd, events in self.epoll.poll(self._timeout()):
                if fd == stop:
                    return
                if self.orders is not None and fd == self.orders.fileno():
                    self._obey(self.orders)
                    continue
                try:
                    self._attend(fd, events)
                except Exception as error:
                    self._survive(error)
            self._expire()

    def _attend(self, fd: int, events: int) -> None:
        port, client = self.ports.get(fd), self.clients.get(fd)
        if port is not None and port.protocol == "udp":
            self._datagrams(port)
        elif port is not None:
            self._accept(port)
        elif client is not None:
            self._serve(client, events)

    def _survive(self, error: Exception) -> None:
        """Survive a bug: the datagram or connection that caused it gets no answer, all others do."""
        self.errors += 1
        if self.errors <= TOLD:
            say_error(error)

    # -- time

    def _timeout(self) -> float:
        for client in self.clients.values():
            return max(0.0, client.deadline - time.monotonic()) + 0.01
        return -1

    def _expire(self) -> None:
        now = time.monotonic()
        while self.clients:
            client = next(iter(self.clients.values()))
            if client.deadline > now:
                return
            self._close(client)

    # -- TCP and SCTP

    def _accept(self, port: _Port | _DnsPort) -> None:
        for _ in range(BATCH):
            try:
                sock, peer = port.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM) and self.clients:
                    self._close(next(iter(self.clients.values())))
                    continue
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    return
                continue  # this client is gone already (accept(2), "Error handling")
            sock.setblocking(False)
            if len(self.clients) >= MAX_CLIENTS:
                self._close(next(iter(self.clients.values())))
            client = _Client(sock, peer[:2], port, time.monotonic() + PATIENCE)
            self.clients[sock.fileno()] = client
            self.epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
            self._serve(client, select.EPOLLIN)  # most requests have arrived by now

    def _serve(self, client: _Client, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                self._answer(client)
            if events & (select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
                self._read(client)
        except BlockingIOError:
            return
        except OSError:  # reset by the client, which needs no answer
            self._close(client)
        except Exception:
            self._close(client)
            raise

    def _read(self, client: _Client) -> None:
        data = client.sock.recv(REQUEST)
        if client.answered:
            client.drained += len(data)
            if (not data and not client.output) or client.drained > DRAIN:
                self._close(client)
            elif not data:
                self.epoll.modify(client.sock.fileno(), select.EPOLLOUT)
            return
        client.received += data
        client.ended = not data
        if client.ended and not client.received:
            self._close(client)
            return
        self._answer(client)

    def _answer(self, client: _Client) -> None:
        """Answer complete requests, one at a time: the next one when the client has received the last
        answer.
        """
        local = client.sock.getsockname()[0]
        while self._write(client) and not client.answered:
            found = client.port.request(client.received, client.ended)
            if found is not None:
                request, client.received = found
                client.output = client.port.stream(client.peer, local, request)
                client.answered = client.port.once
            elif client.ended:
                client.answered = True
            else:
                return

    def _write(self, client: _Client) -> bool:
        """Send the pending data; returns whether all of it was sent."""
        if client.output:
            try:
                sent = client.sock.send(client.output)
            except BlockingIOError:
                sent = 0
            client.output = client.output[sent:]
            if client.output:  # a client that does not read its answers is not read from either
                more = select.EPOLLIN if client.answered else 0
                self.epoll.modify(client.sock.fileno(), select.EPOLLOUT | more)
                return False
            self.epoll.modify(client.sock.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
        if client.answered:
            client.sock.shutdown(socket.SHUT_WR)
        return True

    def _close(self, client: _Client) -> None:
        self.clients.pop(client.sock.fileno(), None)
        client.sock.close()  # epoll forgets it by itself

    # -- UDP

    def _datagrams(self, port: _Port | _DnsPort) -> None:
        for _ in range(BATCH):
            try:
                data, ancillary, _, peer = port.sock.recvmsg(1 << 16, 256)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier answer
                continue
            local, control = _asked(port.family, ancillary)
            answer = port.datagram(peer[:2], local, data)
            if answer is None:
                continue
            for source in (control, []):  # a broadcast address cannot be a source: then the kernel chooses
                try:
                    port.sock.sendmsg([answer], source, 0, peer)
                    break
                except OSError:  # the (perhaps forged) sender is unreachable, or too slow
                    continue


def _asked(family: int, ancillary: list[tuple[int, int, bytes]]) -> tuple[str, list[tuple[int, int, bytes]]]:
    """The address that a datagram was sent to, and the message that makes the answer come from it."""
    for level, kind, data in ancillary:
        if family == socket.AF_INET6 and (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            packed, interface = _IN6_PKTINFO.unpack(data[: _IN6_PKTINFO.size])
            if packed[0] == 0xFF:  # multicast cannot be a source
                break
            scope = interface if packed[0] == 0xFE and packed[1] & 0xC0 == 0x80 else 0
            return socket.inet_ntop(socket.AF_INET6, packed), [
                (level, kind, _IN6_PKTINFO.pack(packed, scope))
            ]
        if family == socket.AF_INET and (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO):
            _, local, destination = _IN_PKTINFO.unpack(data[: _IN_PKTINFO.size])
            return socket.inet_ntop(socket.AF_INET, destination), [
                (level, kind, _IN_PKTINFO.pack(0, local, bytes(4)))
            ]
    return "::" if family == socket.AF_INET6 else "0.0.0.0", []


def serve(spec: Spec, private: str, say: Callable[[Message], None], orders: Channel | None = None) -> int:
    """Run the responder's process: listen, report with ``say``, then answer forever.

    ``private`` is the lab's directory.

    It reports ``{"lacking": […]}``, or an error. An order is ``{"close": [(protocol, port, node), …], "open":
    [ports of the first namespace, …]}``, together with the namespaces; each one gets the same kind of answer.
    """
    responder = Responder(private)
    try:
        lacking = responder.open(spec)
    except LabError as error:
        say(to_message(error))
        return 1
    finally:
        for namespace, _ in spec:
            os.close(namespace)
    say({"lacking": lacking})
    if orders is not None:
        responder.take_orders(orders)
    gc.freeze()  # thousands of long-lived objects that the garbage collector need not check again
    responder.run()
    return 0
