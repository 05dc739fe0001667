"""A channel between processes: one JSON object per line over a unix stream socket, with descriptors.

A message that brings descriptors says how many under ``"fds"``; they travel by SCM_RIGHTS with its first
bytes (at most :data:`MAX_FDS` a message, the kernel's SCM_MAX_FD being 253, ``include/net/scm.h``).
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque
from typing import Any

Message = dict[str, Any]

#: Descriptors in one message.
MAX_FDS = 200
#: A line longer than this is no message of ours.
MAX_LINE = 4 << 20


class Disconnected(Exception):
    """The other side is gone."""


class Channel:
    """One end of a control connection; with a non-blocking socket, unsent bytes wait in it.

    ``recv`` on a closed peer raises :class:`Disconnected`. Descriptors that came with a message are the
    receiver's to close; those that nobody asked for are closed with the channel.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lines: deque[bytes] = deque()
        self._partial = b""
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
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._lines.extend(lines)
        if len(self._partial) > MAX_LINE:
            raise Disconnected

    def take(self) -> tuple[Message, list[int]] | None:
        """The next whole message that was read, with its descriptors; None if there is none."""
        if not self._lines:
            return None
        try:
            message = json.loads(self._lines.popleft())
        except ValueError as error:
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


def _close_all(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())
