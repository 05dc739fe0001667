"""The receiving side of a load: one process and one epoll loop for every port, as cheap as Python can.

The first byte of a connection says what it is for:

======  ==========================================================================================
``C``   one request of :data:`SIZE` bytes, which is answered with as many; the receiver closes
``K``   requests of :data:`SIZE` bytes, each answered with as many; the client closes
``U``   data until the end of the stream; the answer is their number, eight bytes (``U`` included)
``D``   requests of nine bytes: ``D``, and a number of bytes, which follow as the answer
``G``   an HTTP request: of ``/load``, answered with :data:`SIZE` bytes, after which the connection is kept
        unless the request says ``Connection: close``; of a probe, answered as the built-in responders do
======  ==========================================================================================

The receiver closes first where it can, so that its side has the TIME_WAIT and a client's ports stay free.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from netlab.lab.cost.usage import discard, send_zeros, zeros_of
from netlab.model.family import unmapped
from netlab.model.reply import Reply, token_of

#: Bytes of a request and of its answer.
SIZE = 64
#: Bytes that one request of ``D`` may ask for.
LONGEST = 64 << 20
#: Seconds that one send or receive may take before the connection is given up.
PATIENCE = 10
TIMEOUT = struct.pack("@ll", PATIENCE, 0)
BACKLOG = 4096
_LOAD, _CLOSE = b"GET /load ", b"Connection: close"
_HTTP_KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(SIZE)
_HTTP_LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % SIZE + bytes(SIZE)


@dataclass(frozen=True, slots=True)
class LoadPort:
    """A listening socket, and who answers there."""

    sock: socket.socket
    node: str
    service: str


def listen(port: int) -> socket.socket:
    """A listening socket for both families in the calling thread's namespace; raises OSError."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIMEOUT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, TIMEOUT)
        sock.bind(("::", port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


class LoadReceiver:
    """Serves all ports until it is killed. An error ends only the connection that caused it."""

    def __init__(self, ports: Sequence[LoadPort]) -> None:
        self._poll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._buffer = bytearray(1 << 20)
        self._answer = bytes(SIZE)
        self._zeros = zeros_of(LONGEST)
        for port in ports:
            self._add(port.sock, partial(self._accept, port))

    def run(self) -> None:
        """Serve until killed."""
        while True:
            for fd, _ in self._poll.poll():
                handler = self._handlers.get(fd)
                if handler is not None:
                    handler()

    def _add(self, sock: socket.socket, handler: Callable[[], None]) -> None:
        self._handlers[sock.fileno()] = handler
        self._poll.register(sock.fileno(), select.EPOLLIN)

    def _accept(self, port: LoadPort) -> None:
        try:
            sock, _ = port.sock.accept()
        except OSError:  # the client has given up
            return
        self._add(sock, partial(self._serve, sock, port))

    def _close(self, sock: socket.socket) -> None:
        del self._handlers[sock.fileno()]
        sock.close()

    def _serve(self, sock: socket.socket, port: LoadPort) -> None:
        try:
            if self._answered(sock, port):
                return
        except OSError:
            pass  # the client has reset it, or does not take what it asked for
        self._close(sock)

    def _answered(self, sock: socket.socket, port: LoadPort) -> bool:
        """Answer what is there; False once the connection is over."""
        buffer = self._buffer
        got = sock.recv_into(buffer, SIZE * 16)
        if not got:
            return False
        kind = buffer[0]
        if kind == 0x4B and got == SIZE:  # K
            sock.send(self._answer)
            return True
        if kind == 0x43 and got == SIZE:  # C
            sock.send(self._answer)
        elif kind == 0x55:  # U
            sock.send((got + discard(sock, buffer)).to_bytes(8, "big"))
        elif kind == 0x44 and got == 9:  # D
            send_zeros(sock, self._zeros, min(LONGEST, int.from_bytes(buffer[1:9], "big")))
            return True
        elif kind == 0x47 and buffer.startswith(_LOAD):  # G, of a tool
            kept = buffer.find(_CLOSE, 0, got) < 0
            sock.send(_HTTP_KEPT if kept else _HTTP_LAST)
            return kept
        elif kind == 0x47:  # G
            self._reply(sock, port, bytes(buffer[:got]))
        return False

    def _reply(self, sock: socket.socket, port: LoadPort, request: bytes) -> None:
        peer, local = sock.getpeername(), sock.getsockname()
        addresses = (unmapped(end[0].partition("%")[0]) for end in (peer, local))
        (seen, own), token = addresses, token_of(request)
        sock.send(Reply(port.node, port.service, seen, peer[1], own, local[1], token).http())
        sock.shutdown(socket.SHUT_WR)


def start(ports: Sequence[LoadPort]) -> int:
    """Fork a process that receives on all ports, whose sockets are closed here; its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            LoadReceiver(ports).run()
        finally:
            os._exit(1)
    for port in ports:
        port.sock.close()
    return pid
