"""A process's listeners, and the control socket with which its parent adds, removes and queries them.

The control socket is a Unix SOCK_SEQPACKET pair. A request is one packet, its first line the verb:

=====================  ==================================================================================
``add`` + lines        bind one listener a line (:meth:`netlab.proxy.spec.Spec.encode`)
``remove`` + lines     stop listening, one key a line, and cut its connections
``pairs`` + a time     pairs noted after that CLOCK_MONOTONIC time in ns
=====================  ==================================================================================

Answers are packets of lines after ``more``, and a last one after ``done``. ``add`` and ``remove`` answer a
line ``ERRNO KEY`` for each that failed; ``pairs`` first ``1`` or ``0``: whether none was forgotten. When the
other end is closed, the process ends.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from netlab.proxy import sockets
from netlab.proxy.helper import Helper, wanted
from netlab.proxy.loop import IN, Loop
from netlab.proxy.pairs import Pairs
from netlab.proxy.pipes import Pipes
from netlab.proxy.sctp import SctpService
from netlab.proxy.spec import Spec
from netlab.proxy.tcp_accept import TcpService
from netlab.proxy.tcp_connection import Streams
from netlab.proxy.udp import UdpService
from netlab.proxy.usermode.guest import Guest

if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterable

    from netlab.proxy.usermode.guest import Listening, Namespaces
    from netlab.proxy.usermode.link import Settings

#: The longest request; senders split longer lists.
PACKET = 64 * 1024
#: Lines in one packet.
LINES = 256


class Inside:
    """Listeners that lead into a container's namespace.

    With ``settings`` the process is the container's network (pasta, slirp4netns), and they lead there by
    frames; without, its connections begin in that namespace (rootlessport).
    """

    __slots__ = ("settings", "spaces")

    def __init__(self, spaces: Namespaces, settings: Settings | None = None) -> None:
        self.spaces = spaces
        self.settings = settings


class Held:
    """A socket that is only held: the kernel completes handshakes up to the backlog, and nothing accepts."""

    def __init__(self, sock: socket) -> None:
        self._sock = sock

    def close(self) -> None:
        """Let the port go."""
        self._sock.close()


class Server:
    """Serves listeners until its control socket is closed."""

    def __init__(
        self,
        log: Callable[[str], None] | None = None,
        *,
        helped: bool = False,
        inside: Inside | None = None,
    ) -> None:
        """Raises OSError if the link of ``inside`` cannot be opened."""
        self.loop = Loop()
        self.pairs = Pairs()
        self._streams = Streams(self.loop, Pipes())
        self._helper = Helper(self._streams) if helped and wanted() else None
        self._log = log
        self._make: Callable[[int, int], socket] | None = None
        self._guest: Guest | None = None
        if inside is not None and inside.settings is not None:
            self._guest = Guest(self.loop, self._streams, self.pairs, inside.settings, inside.spaces)
        elif inside is not None:
            self._make = inside.spaces.socket_inside
        self._services: dict[str, TcpService | UdpService | SctpService | Listening | Held] = {}

    def add(self, spec: Spec, sock: socket | None = None) -> None:
        """Serve one more listener, on ``sock`` if it is bound already; raises OSError."""
        if spec.key in self._services:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        if sock is None:
            sock = sockets.listen(spec)
        if spec.backend is None:
            self._services[spec.key] = Held(sock)
            return
        if self._guest is not None:
            self._services[spec.key] = self._guest.listen(sock, spec)
        elif spec.protocol == "tcp":
            self._services[spec.key] = TcpService(
                sock, spec, self._streams, self.pairs, self._helper, self._log, make=self._make
            )
        elif spec.protocol == "udp":
            self._services[spec.key] = UdpService(
                sock, spec, self.loop, self.pairs, self._log, make=self._make
            )
        else:
            self._services[spec.key] = SctpService(sock, spec, self.loop, self.pairs, self._log)

    def remove(self, key: str) -> None:
        """Stop listening; raises KeyError."""
        self._services.pop(key).close()

    def run(self) -> None:
        """Serve until the control socket is closed; the helper ends first."""
        self.loop.run()
        if self._helper is not None:
            self._helper.end()

    def control(self, sock: socket) -> None:
        """Obey requests on ``sock``."""
        self.loop.watch(sock.fileno(), lambda _events: self._request(sock), IN)

    def _request(self, sock: socket) -> None:
        packet = sock.recv(PACKET)
        if not packet:
            self.loop.stop()
            return
        verb, *lines = packet.decode().split("\n")
        if verb == "pairs":
            whole, pairs = self.pairs.since(int(lines[0]))
            answer(sock, [str(int(whole)), *pairs])
        elif verb == "add":
            answer(sock, self._add(lines))
        elif verb == "remove":
            failed = self._remove(lines)
            self.loop.close_now()  # the port is free when the answer comes
            answer(sock, failed)
        else:
            raise ValueError(f"unknown request {verb}")

    def _add(self, lines: Iterable[str]) -> list[str]:
        failed: list[str] = []
        for line in lines:
            spec = Spec.decode(line)
            try:
                self.add(spec)
            except OSError as error:
                failed.append(f"{error.errno} {spec.key}")
        return failed

    def _remove(self, lines: Iterable[str]) -> list[str]:
        failed: list[str] = []
        for key in lines:
            try:
                self.remove(key)
            except KeyError:
                failed.append(f"{errno.ENOENT} {key}")
        return failed


def answer(sock: socket, lines: list[str]) -> None:
    """Send an answer of any length."""
    while len(lines) > LINES:
        sock.send("\n".join(["more", *lines[:LINES]]).encode())
        lines = lines[LINES:]
    sock.send("\n".join(["done", *lines]).encode())
