"""A channel between processes: one JSON object per line over a unix stream socket, with descriptors.

The supervisor and its clients, the processes that build and change a lab, the responder, and the workers that
measure, watch and capture use it. There are four exceptions:

- the report of a program's start (:mod:`netlab.kernel.sandbox.launcher`): ``exec`` closes its pipe, and the
  end of that means success;
- one word between a fork and its parent (:mod:`netlab.kernel.userns`, the real firewall): a pipe is enough;
- docker-proxy's ready pipe: the format is Docker's;
- the packets of :mod:`netlab.proxy`, which is a program of its own and imports nothing else of netlab.

A message with descriptors has their number under ``"fds"``; SCM_RIGHTS carries them with its first bytes (at
most :data:`MAX_FDS` per message; the kernel's SCM_MAX_FD is 253, ``include/net/scm.h``).
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from typing import Any

from netlab.model.error_messages import from_message
from netlab.model.errors import LabError, NetlabError

Message = dict[str, Any]

#: Descriptors in one message.
MAX_FDS = 200
#: A longer line is not a message; the other side may be anybody.
MAX_LINE = 4 << 20
#: The same between two processes of netlab: all flows of a large lab are one message.
MAX_LINE_BETWEEN_OURS = 1 << 30


class Disconnected(Exception):
    """The other side is gone."""


class Channel:
    """One end of a control connection; with a non-blocking socket, unsent bytes wait in it.

    ``receive`` raises :class:`Disconnected` if the peer has closed. The receiver closes the descriptors of a
    message; unexpected ones are closed with the channel.
    """

    def __init__(self, sock: socket.socket, most: int = MAX_LINE) -> None:
        """``most``: octets of a message; the other side of a longer one counts as gone."""
        self.sock = sock
        self._most = most
        self._lines: deque[bytes] = deque()
        self._parts: list[bytes] = []  #: of a line without its end
        self._partial = 0  #: their octets
        self._fds: deque[int] = deque()
        self._unsent: deque[tuple[memoryview, list[int]]] = deque()

    def fileno(self) -> int:
        """The socket's descriptor, for poll."""
        return self.sock.fileno()

    def close(self) -> None:
        """Close the socket, and what came and was not taken."""
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        for _, fds in self._unsent:
            _close_all(fds)
        self._unsent.clear()
        self.sock.close()

    # -- sending

    def send(self, message: Message, fds: list[int] | None = None) -> None:
        """Send a message, blocking or as far as the socket takes it; ``fds`` stay the caller's."""
        copies = [os.dup(fd) for fd in fds or ()]
        if copies:
            message = {**message, "fds": len(copies)}
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self._unsent.append((memoryview(data), copies))
        self.flush()

    def flush(self) -> bool:
        """Send what waits; True once nothing waits any more."""
        while self._unsent:
            data, fds = self._unsent[0]
            try:
                sent = socket.send_fds(self.sock, [data], fds) if fds else self.sock.send(data)
            except BlockingIOError:
                return False
            except (BrokenPipeError, ConnectionResetError) as error:
                raise Disconnected from error
            _close_all(fds)
            if sent == len(data):
                self._unsent.popleft()
            else:
                self._unsent[0] = (data[sent:], [])
        return True

    # -- receiving

    def fill(self) -> None:
        """Read once; raises :class:`Disconnected` at the end of the stream."""
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 1 << 16, MAX_FDS)
        except BlockingIOError:
            return
        except ConnectionResetError as error:
            raise Disconnected from error
        for fd in fds:
            os.set_inheritable(fd, False)
        self._fds.extend(fds)
        if not data:
            raise Disconnected
        *lines, rest = data.split(b"\n")
        if lines:
            lines[0] = b"".join((*self._parts, lines[0]))
            self._lines.extend(lines)
            self._parts, self._partial = [], 0
        self._parts.append(rest)
        self._partial += len(rest)
        if self._partial > self._most:
            raise Disconnected

    @property
    def waiting(self) -> bool:
        """Whether there is unread data."""
        return bool(self._lines or self._partial)

    def take(self) -> tuple[Message, list[int]] | None:
        """The next complete message, with its descriptors; None if there is none."""
        if not self._lines:
            return None
        try:
            message = json.loads(self._lines.popleft())
        except (ValueError, RecursionError) as error:  # a hundred thousand brackets are no message either
            raise Disconnected from error
        if not isinstance(message, dict):
            raise Disconnected
        count = message.pop("fds", 0)
        if not isinstance(count, int) or count > len(self._fds):
            raise Disconnected
        return message, [self._fds.popleft() for _ in range(count)]

    def receive(self) -> tuple[Message, list[int]]:
        """Wait for the next message (blocking sockets); raises :class:`Disconnected`."""
        while (found := self.take()) is None:
            self.fill()
        return found

    def answer(self, process: str, bug: type[NetlabError] = LabError) -> Message:
        """The next message of another process of netlab's; raises the error that it sent instead.

        ``process`` is its name in messages; it raises ``bug`` if the process ended, or failed for no reason
        that netlab knows.
        """
        try:
            found, _ = self.receive()
        except Disconnected:
            raise bug(f"{process} ended before it answered") from None
        if "error" in found:
            raise from_message(found, f"{process} failed", bug)
        return found


def _close_all(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())
