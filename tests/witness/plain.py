"""One flow asked by ordinary sockets, as any program would: the outcome in netlab's own words."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from netlab.kernel import netns
from netlab.measure.probes import patience
from netlab.model.flow import Flow

_REQUEST = b"GET /witness HTTP/1.1\r\nHost: witness\r\nConnection: close\r\n\r\n"
_BEFORE_ANOTHER_SYN = 0.95  #: seconds; the kernel sends a SYN again after one
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.ENOPROTOOPT, errno.EPROTO}


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """What a socket said: an outcome, and the bytes that came back."""

    outcome: str
    data: bytes = b""
    error: str = ""
    late: bool = False  #: nothing came in time

    @property
    def sees(self) -> str:
        """The address that the built-in server says it saw."""
        return self._said("peer ")

    @property
    def node(self) -> str:
        """The name that the built-in server gives itself."""
        return self._said("netlab ")

    def _said(self, key: str) -> str:
        for line in self.data.decode("utf-8", "replace").splitlines():
            if line.startswith(key):
                return line.split(" ")[1]
        return ""


class Asking:
    """One flow under way."""

    def __init__(
        self,
        namespace: int,
        flow: Flow,
        *,
        patiently: bool = False,
        prepare: Callable[[socket.socket, Flow], None] | None = None,
    ) -> None:
        """``patiently``: wait three times as long as netlab. ``prepare``: what the socket needs before."""
        address, protocol, port = flow.address, flow.protocol, flow.port or 0
        #: netlab sends such a flow's first segment alone
        self._handshake = prepare is not None
        self._data = b""
        self._connected = False
        #: seconds for the handshake, and again for the answer
        self._patience = patience() * (3 if patiently else 1)
        if (
            self._handshake and not patiently
        ):  # a second SYN would be another packet, to which other rules apply
            self._patience = min(self._patience, _BEFORE_ANOTHER_SYN)
        self._began = time.monotonic()
        self.found: PlainAnswer | None = None
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        with netns.entered(namespace):
            self.sock = socket.socket(family, kind | socket.SOCK_NONBLOCK)
            self._datagram = protocol == "udp"
            if not self._datagram:  # closed, it sends a reset, and nothing again
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if prepare is not None:
                prepare(self.sock, flow)
            number = self.sock.connect_ex((address, port))
            if number not in (0, errno.EINPROGRESS):
                self._failed(OSError(number, os.strerror(number)))
            elif self._datagram:
                try:
                    self.sock.send(b"witness\n")
                except OSError as error:
                    self._failed(error)

    def _failed(self, error: OSError) -> None:
        number = error.errno or 0
        if self._data:
            self._end("ok")
        elif number == errno.EPERM:
            return
        elif number == errno.ECONNREFUSED:
            self._end("closed" if self._connected else "refused", error)
        elif number in (errno.ECONNRESET, errno.EPIPE):
            self._end("closed", error)
        elif number in _UNREACHABLE:
            self._end("unreachable", error)
        else:
            self._end("no-route", error)

    def _end(self, outcome: str, error: OSError | None = None) -> None:
        self.found = PlainAnswer(
            outcome, self._data, errno.errorcode.get(error.errno or 0, "") if error else ""
        )

    def look(self) -> PlainAnswer | None:
        """Take in what has come; the answer once there is one."""
        if self.found is not None:
            return self.found
        try:
            if not self._connected and not self._datagram:
                try:
                    self.sock.getpeername()
                except (
                    OSError
                ):  # not connected; a connection that stands may have a soft error, which it survives
                    number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if number:
                        self._failed(OSError(number, os.strerror(number)))
                    return self._late()
                self._connected, self._began = True, time.monotonic()
                if self._handshake:
                    self._end("ok")
                    return self.found
                self.sock.send(_REQUEST)
            data = self.sock.recv(65536)
            self._data += data
            if self._datagram or b"\ntoken " in self._data:
                self._end("ok")
            elif not data:
                self._end("ok" if self._data else "closed")
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                self._failed(error)
        return self._late()

    def _late(self) -> PlainAnswer | None:
        if self.found is None and time.monotonic() - self._began > self._patience:
            outcome = "ok" if self._data else "closed" if self._connected else "timeout"
            self.found = PlainAnswer(outcome, self._data, late=True)
        return self.found

    def fileno(self) -> int:
        """For a poll."""
        return self.sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self.sock.close()


def wait_for(asking: Sequence[Asking]) -> list[PlainAnswer]:
    """The answers to flows that are asked at the same time."""
    poll = select.poll()
    for one in asking:
        poll.register(one.fileno(), select.POLLIN | select.POLLERR | select.POLLHUP)
    try:
        while any(one.look() is None for one in asking):
            poll.poll(10)
            for one in asking:
                if one.found is not None:
                    _leave(poll, one)
    finally:
        for one in asking:
            one.close()
    return [one.found or PlainAnswer("timeout") for one in asking]


def _leave(poll: select.poll, one: Asking) -> None:
    with contextlib.suppress(KeyError):
        poll.unregister(one.fileno())
