"""The loads: what a client does for a time, and how much of it was done.

All of them run in the calling thread's namespace, are bounded in time and in number, and raise OSError if
the other side refuses, resets or does not answer for :data:`~netlab.lab.cost.receiver.PATIENCE` seconds.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from time import perf_counter

from netlab.lab.cost.receiver import SIZE, TIMEOUT
from netlab.lab.cost.usage import discard, send_zeros

#: Bytes that are sent or asked for before the clock is looked at.
PIECE = 4 << 20
#: At most so many connections, requests and pieces in one load.
MOST_CONNECTIONS, MOST_REQUESTS, MOST_PIECES = 20_000, 500_000, 25_000
#: Fewer round trips than this say nothing of one in a thousand, or in a hundred.
FOR_P999, FOR_P99 = 1000, 100

Load = Callable[[int, str, int, float, int], dict[str, float]]
"""(address family, address, port, seconds, a descriptor of zeros) → what was done, by name."""


def _dial(family: int, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, TIMEOUT)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect((address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def connections(family: int, address: str, port: int, seconds: float, zeros: int) -> dict[str, float]:
    """Connections one after another, each with one request and its answer."""
    del zeros
    request, buffer = b"C" * SIZE, bytearray(4096)
    count = 0
    start = perf_counter()
    end = start + seconds
    while count < MOST_CONNECTIONS:
        with _dial(family, address, port) as sock:
            sock.send(request)
            got = 0
            while piece := sock.recv_into(buffer):
                got += piece
        if got != SIZE:
            raise ConnectionError(f"{got} of {SIZE} bytes came back")
        count += 1
        if perf_counter() >= end:
            break
    return {"count": count, "seconds": perf_counter() - start}


def requests(family: int, address: str, port: int, seconds: float, zeros: int) -> dict[str, float]:
    """Requests and answers on one connection; their round trips."""
    del zeros
    request, buffer = b"K" * SIZE, bytearray(4096)
    times: list[float] = []
    with _dial(family, address, port) as sock:
        sock.send(request)
        _take(sock, buffer)  # a proxy dials only now
        start = last = perf_counter()
        end = start + seconds
        while last < end and len(times) < MOST_REQUESTS:
            sock.send(request)
            _take(sock, buffer)
            now = perf_counter()
            times.append(now - last)
            last = now
    found = {"count": float(len(times)), "seconds": last - start, "p50": quantile(times, 0.5)}
    if len(times) >= FOR_P99:
        found["p99"] = quantile(times, 0.99)
    if len(times) >= FOR_P999:
        found["p999"] = quantile(times, 0.999)
    return found


def _take(sock: socket.socket, buffer: bytearray) -> None:
    got = 0
    while got < SIZE:
        piece = sock.recv_into(buffer)
        if not piece:
            raise ConnectionError("the connection was closed")
        got += piece


def quantile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of the values do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -int(-share * len(ranked) // 1) - 1))]


def up(family: int, address: str, port: int, seconds: float, zeros: int) -> dict[str, float]:
    """Zeros to the other side, until it has confirmed them."""
    start = perf_counter()
    end = start + seconds
    sent = 1
    with _dial(family, address, port) as sock:
        sock.send(b"U")
        for _ in range(MOST_PIECES):
            send_zeros(sock, zeros, PIECE)
            sent += PIECE
            if perf_counter() >= end:
                break
        sock.shutdown(socket.SHUT_WR)
        answer = sock.recv(8, socket.MSG_WAITALL)
    if int.from_bytes(answer, "big") != sent:
        raise ConnectionError(f"{int.from_bytes(answer, 'big')} of {sent} bytes came through")
    return {"bytes": sent, "seconds": perf_counter() - start}


def down(family: int, address: str, port: int, seconds: float, zeros: int) -> dict[str, float]:
    """Zeros from the other side."""
    del zeros
    buffer = bytearray(1 << 20)
    start = perf_counter()
    end = start + seconds
    taken = 0
    with _dial(family, address, port) as sock:
        for _ in range(MOST_PIECES):
            sock.send(b"D" + PIECE.to_bytes(8, "big"))
            got = discard(sock, buffer, PIECE)
            if got != PIECE:
                raise ConnectionError(f"{got} of {PIECE} bytes came through")
            taken += got
            if perf_counter() >= end:
                break
    return {"bytes": taken, "seconds": perf_counter() - start}


#: All loads, in the order in which a round makes them.
LOADS: dict[str, Load] = {"connections": connections, "requests": requests, "up": up, "down": down}
