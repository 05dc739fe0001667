"""What processes have used of the machine, and how bytes are sent and taken without copies."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence


def cpu_seconds(pids: Sequence[int]) -> float:
    """CPU time that the threads of these processes and of their children have used.

    /proc/PID/task/TID/schedstat tells it in ns. Raises FileNotFoundError if a process has ended.
    """
    total = 0
    for pid in (*pids, *_children(pids)):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
    return total / 1e9


def _children(pids: Sequence[int]) -> Iterator[int]:
    for pid in pids:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            yield from map(int, file.read().split())


def private_bytes(pids: Sequence[int]) -> int:
    """Memory that would be free if these processes ended (/proc/PID/smaps_rollup)."""
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Private_"))
    return total * 1024


def zeros_of(size: int) -> int:
    """A descriptor of ``size`` zeros that take no memory until they are sent, for the caller to close."""
    zeros = os.memfd_create("zeros")
    os.ftruncate(zeros, size)
    return zeros


def send_zeros(sock: socket.socket, zeros: int, count: int) -> None:
    """Send the first ``count`` bytes of a file, without copying them."""
    offset = 0
    while offset < count:
        offset += os.sendfile(sock.fileno(), zeros, offset, count - offset)


def discard(sock: socket.socket, buffer: bytearray, most: int | None = None) -> int:
    """Take what comes until the end, or ``most`` bytes of it, uncopied (tcp(7), MSG_TRUNC); the number."""
    total = 0
    size = len(buffer)
    while most is None or total < most:
        got = sock.recv_into(buffer, size if most is None else min(size, most - total), socket.MSG_TRUNC)
        if not got:
            break
        total += got
    return total
