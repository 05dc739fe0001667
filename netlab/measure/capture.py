"""Capture the packets on nodes' interfaces to a pcapng file.

A worker in the lab: ``main`` gets the open file and a socket on which it says that it has begun. It writes
whole blocks only, so it may be killed at any moment.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from netlab.kernel.channel import Channel, Disconnected
from netlab.kernel.netns import entered
from netlab.measure import pcapng
from netlab.model.error_messages import to_message
from netlab.model.errors import LabError

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_PACKET_OUTGOING = 4
_SNAP_LENGTH = 262144
_BUFFER = 8 << 20
_BATCH = 256
_AT_MOST = _BUFFER // 256  # the least that a packet takes of a buffer is more
_TIMESPEC = struct.Struct("@qq")


@dataclass(frozen=True, slots=True)
class Source:
    """What to capture: a node's namespace, one interface or (None) all of them."""

    node: str
    interface: str | None = None


class Capture:
    """Packet sockets in the namespaces of nodes, from the constructor to :meth:`close`.

    Raises OSError for an interface that is not there, PermissionError without CAP_NET_RAW.
    """

    def __init__(self, sources: Sequence[Source], namespaces: Mapping[str, int], output: int) -> None:
        self._output = output
        self._numbers: dict[tuple[str, str], int] = {}
        self._sockets: dict[int, tuple[str, socket.socket]] = {}
        self._poll = select.epoll()
        self.packets = 0
        try:
            for source in sources:
                with entered(namespaces[source.node]):
                    sock = _open(source.interface)
                self._sockets[sock.fileno()] = source.node, sock
                self._poll.register(sock.fileno(), select.EPOLLIN)
            self._write(pcapng.section())
        except BaseException:
            self.close()
            raise

    def run(self, stop: int, most: int | None = None) -> None:
        """Write arriving packets, at most ``most``, until ``stop`` is readable (or its other end closed).

        Packets that had arrived by then are written, too.
        """
        self._poll.register(stop, select.EPOLLIN)
        ending = False
        while not ending and (most is None or self.packets < most):
            ready = [fd for fd, _ in self._poll.poll()]
            ending = stop in ready
            for fd in self._sockets if ending else ready:
                node, sock = self._sockets[fd]
                self._drain(node, sock, None if most is None else most - self.packets, ending)

    def _drain(self, node: str, sock: socket.socket, most: int | None, ending: bool) -> None:
        """Write a batch of a socket's waiting packets; at the end, all of them."""
        blocks: list[bytes] = []
        batch = _AT_MOST if ending else _BATCH
        for _ in range(batch if most is None else min(most, batch)):
            try:
                octets, ancillary, flags, sender = sock.recvmsg(_SNAP_LENGTH, 64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
            name, _, kind = sender[0], sender[1], sender[2]
            if name == "lo" and kind == _PACKET_OUTGOING:
                continue  # it comes in by lo as well, and is one packet
            direction = pcapng.OUTBOUND if kind == _PACKET_OUTGOING else pcapng.INBOUND
            number = self._number(node, name, blocks)
            length = len(octets) + 1 if flags & socket.MSG_TRUNC else None
            blocks.append(pcapng.packet(number, _when(ancillary), octets, length=length, direction=direction))
            self.packets += 1
        if blocks:
            self._write(b"".join(blocks))

    def _number(self, node: str, name: str, blocks: list[bytes]) -> int:
        """The number of an interface in the file; the first use writes its description."""
        key = node, name
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers)
            blocks.append(pcapng.interface(f"{node}:{name}", snap_length=_SNAP_LENGTH))
        return self._numbers[key]

    def _write(self, octets: bytes) -> None:
        rest = memoryview(octets)
        while rest:
            rest = rest[os.write(self._output, rest) :]

    def lost(self) -> int:
        """How many packets the kernel had no room for."""
        found = 0
        for _, sock in self._sockets.values():
            _, drops = struct.unpack("=II", sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
            found += drops
        return found

    def close(self) -> None:
        """Close the sockets; the output stays the caller's."""
        for _, sock in self._sockets.values():
            sock.close()
        self._sockets.clear()
        self._poll.close()


def _open(interface: str | None) -> socket.socket:
    # Without a protocol, a socket receives nothing until it is bound, so no packet of another interface is
    # queued.
    protocol = 0 if interface else socket.htons(_ETH_P_ALL)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        except PermissionError:  # in a user namespace only up to net.core.rmem_max
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        if interface:
            sock.bind((interface, _ETH_P_ALL))
    except BaseException:
        sock.close()
        raise
    return sock


def _when(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return 0


def main(arguments: list[str], fds: list[int], namespaces: dict[str, int]) -> int:
    """The worker: ``arguments[0]`` is a request as JSON, ``fds`` the output file and a control socket.

    Over the control socket, a channel, it sends ``{"started": true}`` (or an error), and ``{"packets": n,
    "lost": n}`` once the other end was shut down.
    """
    request = json.loads(arguments[0])
    sources = [Source(node, interface) for node, interface in request["sources"]]
    output, control = fds
    channel = Channel(socket.socket(fileno=control))
    try:
        capture = Capture(sources, namespaces, output)
    except OSError as error:
        channel.send(to_message(LabError(f"opening a packet socket: {error.strerror}")))
        return 1
    try:
        channel.send({"started": True})
        capture.run(control, request["most"])
        channel.send({"packets": capture.packets, "lost": capture.lost()})
    except (BrokenPipeError, Disconnected):
        return 1  # the client, or the reader of the output, has gone
    finally:
        capture.close()
    return 0
