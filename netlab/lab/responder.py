"""The built-in servers of all containers: one process, one epoll loop, a listening socket a port.

It says what :mod:`netlab.model.reply` fixes. A TCP client is answered once its request is whole (an HTTP
header's empty line, else the first line, else the end of what it sends), and the connection is then closed
in the order that lets the client read everything: shutdown, drain, close. Nobody may hold it up: a
client has :data:`PATIENCE` seconds, a request :data:`REQUEST` bytes, and where descriptors run out the
client that has waited longest goes.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import time
from collections import OrderedDict

from netlab.model.errors import LabError
from netlab.model.reply import Reply, token_of

#: What is to be answered: network namespace (an open descriptor), then per port
#: (protocol, port, node, service).
Spec = list[tuple[int, list[tuple[str, int, str, str]]]]

PATIENCE = 30.0
REQUEST = 16 << 10
#: How much a client may go on sending behind its answer before it is cut off.
DRAIN = 1 << 20
MAX_CLIENTS = 8192
BACKLOG = 1024
#: Datagrams or connections taken of one socket before the others have their turn.
BATCH = 64

IPPROTO_SCTP = 132
IP_PKTINFO = 8
_IN_PKTINFO = struct.Struct("=I4s4s")  # ip(7): interface, local address, header's destination
_IN6_PKTINFO = struct.Struct("=16sI")  # ipv6(7)


def _plain(address: str) -> str:
    """An IPv4 client's address on a dual-stack socket, as an IPv4 address; without a scope."""
    address = address.partition("%")[0]
    return address[7:] if address.startswith("::ffff:") and "." in address else address


class _Port:
    """A listening socket: whose it is, and how it answers."""

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

    def reply(self, peer: tuple[str, int], local: str, request: bytes) -> Reply:
        """The answer to ``request``."""
        return Reply(
            self.node, self.service, _plain(peer[0]), peer[1], _plain(local), self.port, token_of(request)
        )


class _Client:
    """One accepted connection, from its first byte to its end."""

    __slots__ = ("answered", "deadline", "drained", "output", "peer", "port", "received", "sock")

    def __init__(self, sock: socket.socket, peer: tuple[str, int], port: _Port, deadline: float) -> None:
        self.sock = sock
        self.peer = peer
        self.port = port
        self.deadline = deadline
        self.received = b""
        self.output = b""
        self.answered = False
        self.drained = 0


def _whole(request: bytes) -> bool:
    """Whether a request can be answered now."""
    first, newline, _ = request.partition(b"\n")
    if not newline:
        return len(request) >= REQUEST
    if not first.rstrip(b"\r").endswith((b"HTTP/1.1", b"HTTP/1.0")):
        return True
    return b"\r\n\r\n" in request or b"\n\n" in request or len(request) >= REQUEST


def open_port(protocol: str, port: int) -> tuple[socket.socket, int]:
    """A bound (and listening) wildcard socket in the calling thread's namespace, and its family.

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
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
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
    """The loop."""

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self.ports: dict[int, _Port] = {}
        #: by descriptor, the one that will run out of patience first in front
        self.clients: OrderedDict[int, _Client] = OrderedDict()

    def open(self, spec: Spec) -> list[str]:
        """Listen on everything; returns what this kernel cannot do. Raises LabError for a taken port."""
        from netlab.kernel import netns

        lacking = []
        with netns.returning():
            for namespace, ports in spec:
                netns.enter(namespace)
                for protocol, port, node, service in ports:
                    try:
                        sock, family = open_port(protocol, port)
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
                    self.ports[sock.fileno()] = _Port(sock, family, protocol, port, node, service)
                    self.epoll.register(sock.fileno(), select.EPOLLIN)
        return lacking

    def run(self, stop: int | None = None) -> None:
        """Answer until ``stop`` (a descriptor) becomes readable."""
        if stop is not None:
            self.epoll.register(stop, select.EPOLLIN)
        while True:
            for fd, events in self.epoll.poll(self._timeout()):
                if fd == stop:
                    return
                port = self.ports.get(fd)
                if port is None:
                    client = self.clients.get(fd)
                    if client is not None:
                        self._serve(client, events)
                elif port.protocol == "udp":
                    self._datagrams(port)
                else:
                    self._accept(port)
            self._expire()

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

    def _accept(self, port: _Port) -> None:
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
            self._serve(client, select.EPOLLIN)  # most requests are there by now

    def _serve(self, client: _Client, events: int) -> None:
        try:
            if events & select.EPOLLOUT:
                self._write(client)
            if events & (select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR):
                self._read(client)
        except BlockingIOError:
            return
        except OSError:  # reset by the client: nobody is left to tell
            self._close(client)

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
        if data and not _whole(client.received):
            return
        if not data and not client.received:
            self._close(client)
            return
        self._answer(client)
        if not data:
            client.drained = DRAIN

    def _answer(self, client: _Client) -> None:
        client.answered = True
        reply = client.port.reply(client.peer, client.sock.getsockname()[0], client.received)
        client.received = b""
        client.output = reply.datagram() if client.port.protocol == "sctp" else reply.http()
        self._write(client)

    def _write(self, client: _Client) -> None:
        if client.output:
            try:
                sent = client.sock.send(client.output)
            except BlockingIOError:
                sent = 0
            client.output = client.output[sent:]
            if client.output:
                self.epoll.modify(client.sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
                return
        self.epoll.modify(client.sock.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
        client.sock.shutdown(socket.SHUT_WR)

    def _close(self, client: _Client) -> None:
        del self.clients[client.sock.fileno()]
        client.sock.close()  # epoll forgets it by itself

    # -- UDP

    def _datagrams(self, port: _Port) -> None:
        for _ in range(BATCH):
            try:
                data, ancillary, _, peer = port.sock.recvmsg(1 << 16, 256)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error for an earlier answer
                continue
            local, control = _asked(port.family, ancillary)
            answer = port.reply(peer[:2], local, data).datagram()
            for source in (control, []):  # a broadcast address cannot be a source: then the kernel chooses
                try:
                    port.sock.sendmsg([answer], source, 0, peer)
                    break
                except OSError:  # no way back to a (perhaps forged) sender, or it is slower than we are
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


def serve(spec: Spec, ready: int) -> int:
    """The life of the responder's process: listen, say so on ``ready``, answer for ever.

    ``ready`` gets one JSON line: ``{"lacking": […]}`` or ``{"error": …}``.
    """
    import gc
    import json

    responder = Responder()
    try:
        said: dict[str, object] = {"lacking": responder.open(spec)}
    except LabError as error:
        said = {"error": str(error)}
    for namespace, _ in spec:
        os.close(namespace)
    os.write(ready, json.dumps(said).encode() + b"\n")
    os.close(ready)
    if "error" in said:
        return 1
    gc.freeze()  # thousands of long-lived objects that no collection need look at again
    responder.run()
    return 0
