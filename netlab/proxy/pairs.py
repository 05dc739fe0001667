"""Which client connection became which of the proxy's own: evidence that joins a journey's two legs."""

from __future__ import annotations

import time
from collections import deque

from netlab.proxy.sockets import SockAddr, plain

#: How many pairs are remembered; the oldest are forgotten.
REMEMBERED = 4096

#: (CLOCK_MONOTONIC ns, protocol, client, asked, own, backend)
Entry = tuple[int, str, SockAddr, SockAddr, SockAddr, SockAddr]


class Pairs:
    """The last pairs of a process."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._entries: deque[Entry] = deque(maxlen=remembered)
        self._forgotten = 0  #: when the youngest of the forgotten was noted

    def add(self, protocol: str, client: SockAddr, asked: SockAddr, own: SockAddr, backend: SockAddr) -> None:
        """Note a new connection or flow; addresses as getsockname() gives them."""
        entries = self._entries
        if len(entries) == entries.maxlen:
            self._forgotten = entries[0][0]
        entries.append((time.monotonic_ns(), protocol, client, asked, own, backend))

    def since(self, when: int) -> tuple[bool, list[str]]:
        """Whether no pair noted after ``when`` (CLOCK_MONOTONIC ns) was forgotten; their lines in order."""
        lines: list[str] = []
        for entry in reversed(self._entries):
            if entry[0] <= when:
                break
            lines.append(encode(entry))
        lines.reverse()
        return self._forgotten <= when, lines


def encode(entry: Entry) -> str:
    """One line: time, protocol, then address and port of client, asked, own and backend."""
    when, protocol, *ends = entry
    return f"{when} {protocol} " + " ".join(f"{plain(end[0])} {end[1]}" for end in ends)
