"""Servers in a real daemon's containers that answer as netlab's built-in responders do.

Run as ``python3 answering.py < request``, the request a JSON line ``[[namespace, node, [[protocol, port,
service], …]], …]``. The program says ``ready`` once everything listens, and ends with its standard input.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable

from netlab.kernel import netns
from netlab.model.reply import Reply, token_of

#: A client that connects and then says nothing is let go.
PATIENCE = 10.0


def listen(protocol: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """A wildcard socket of one family."""
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
    if protocol == "tcp":
        made.listen(128)
    return made


def reply(node: str, service: str, request: bytes, peer: tuple[str, int], local: tuple[str, int]) -> Reply:
    """The answer of one server."""
    return Reply(node, service, peer[0], peer[1], local[0], local[1], token_of(request))


def serve_tcp(server: socket.socket, node: str, service: str) -> None:
    """Answer every connection, each in a thread of its own."""

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(PATIENCE)
            try:
                request = connection.recv(4096)
                peer, local = connection.getpeername(), connection.getsockname()
                if request:
                    connection.sendall(reply(node, service, request, peer, local).http())
            except OSError:
                return  # the client went, which is its right

    while True:
        threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()


def serve_udp(server: socket.socket, node: str, service: str) -> None:
    """Answer every datagram."""
    while True:
        request, peer = server.recvfrom(4096)
        server.sendto(reply(node, service, request, peer, server.getsockname()).datagram(), peer)


def main() -> None:
    """Listen everywhere, then serve until the owner ends."""
    for path, node, ports in json.loads(sys.stdin.readline()):
        descriptor = os.open(path, os.O_RDONLY)
        with netns.entered(descriptor):
            for protocol, port, service in ports:
                serve: Callable[[socket.socket, str, str], None]
                serve = serve_tcp if protocol == "tcp" else serve_udp
                for family in (socket.AF_INET, socket.AF_INET6):
                    server = listen(protocol, port, family)
                    threading.Thread(target=serve, args=(server, node, service), daemon=True).start()
        os.close(descriptor)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
