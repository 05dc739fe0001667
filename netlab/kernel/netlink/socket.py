"""A netlink socket that sends many messages at once and reports which one failed, and why.

One ``send`` carries many messages, and only the last one requests an acknowledgement: the kernel reports
errors anyway, with the number of the failed message (netlink(7)).
"""

from __future__ import annotations

import _socket
import errno
import os
from collections.abc import Iterator, Sequence
from struct import Struct

from netlab.kernel.netlink import message as m
from netlab.kernel.netlink.message import Message

_AF_NETLINK, _NETLINK_ROUTE, _SOL_NETLINK = 16, 0, 270
_NETLINK_ADD_MEMBERSHIP, _NETLINK_CAP_ACK, _NETLINK_EXT_ACK = 1, 10, 11
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLM_F_CAPPED, _NLM_F_ACK_TLVS = 0x100, 0x200
_NLMSGERR_ATTR_MSG = 1
_HEADER = Struct("=IHHII")  # length, type, flags, sequence, port
_ERROR = Struct("=i")

#: messages a send: enough to amortise the system call, few enough for the socket's buffers
BATCH = 64
#: what an error means, for readers who know networks but not the kernel's interface
_REASONS = {
    errno.EADDRNOTAVAIL: "no interface can have this address",
    errno.EEXIST: "there is one already",
    errno.EHOSTUNREACH: "the gateway is on none of the node's subnets",
    errno.EINVAL: "the kernel does not take it",
    errno.ENETUNREACH: "the gateway is on none of the node's subnets",
    errno.ENODEV: "there is no interface for it",
    errno.EOPNOTSUPP: "this kernel does not support it",
    errno.ERANGE: "a value is too large, or a name too long",
}
RTNLGRP_LINK = 1
RTNLGRP_IPV6_ROUTE = 11


class NetlinkError(OSError):
    """The kernel refused a message; the text says where, during which operation and why, for a user.

    ``reason`` is the kernel's own message, which may be empty.
    """

    def __init__(self, number: int, where: str, doing: str, reason: str = "") -> None:
        why = _REASONS.get(number) or os.strerror(number).lower()
        super().__init__(number, f"{where}: {doing}: {why}" if where else f"{doing}: {why}")
        self.reason = reason


class RouteSocket:
    """A NETLINK_ROUTE socket. It acts for ever on the namespace in which it was made.

    Not for use by several threads at once.
    """

    __slots__ = ("_sequence", "_socket", "where")

    def __init__(self, where: str = "") -> None:
        sock = _socket.socket(_AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, _NETLINK_ROUTE)
        sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        sock.bind((0, 0))  # a group joined by an unbound socket never sends it anything
        self._socket = sock
        self._sequence = 0
        #: whose namespace it is, for errors
        self.where = where

    def __enter__(self) -> RouteSocket:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    def join(self, group: int) -> None:
        """Receive the notifications of a multicast group from now on (RTNLGRP_*)."""
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def discard(self) -> None:
        """Throw away everything that has arrived (notifications), without waiting."""
        try:
            while self._socket.recv(1 << 18, _socket.MSG_DONTWAIT):
                continue
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # more than the buffer held: thrown away as well
                raise

    def send(self, messages: Sequence[Message]) -> None:
        """Have all messages carried out, in order; raises NetlinkError for the first that failed."""
        for start in range(0, len(messages), BATCH):
            self._send(messages[start : start + BATCH])

    def _send(self, messages: Sequence[Message]) -> None:
        pack = _HEADER.pack
        first = self._sequence + 1
        parts: list[bytes] = []
        for number, (kind, flags, body, _) in enumerate(messages, first):
            parts += pack(16 + len(body), kind, flags | 1, number, 0), body
        last = self._sequence = self._sequence + len(messages)
        kind, flags, body, _ = messages[-1]
        parts[-2] = pack(16 + len(body), kind, flags | 5, last, 0)
        self._socket.send(b"".join(parts))
        failure: NetlinkError | None = None
        for sequence, number, reason in self._acknowledgements(last):
            if number and failure is None:
                what = messages[sequence - first].what
                failure = NetlinkError(number, self.where, what, reason)
        if failure is not None:
            raise failure

    def _acknowledgements(self, last: int) -> Iterator[tuple[int, int, str]]:
        """(sequence number, errno, the kernel's words) of each error, up to the message ``last``."""
        while True:
            for kind, flags, sequence, data in _split(self._socket.recv(65536)):
                if kind == _NLMSG_ERROR:
                    yield sequence, -_ERROR.unpack_from(data)[0], _reason(flags, data)
                    if sequence == last:
                        return

    def ask(self, requests: Sequence[Message]) -> list[bytes]:
        """The answers to requests that have one answer each (RTM_GETLINK of one link), in order.

        Raises NetlinkError for the first that failed.
        """
        answers: list[bytes] = []
        for start in range(0, len(requests), BATCH):
            answers += self._ask(requests[start : start + BATCH])
        return answers

    def _ask(self, requests: Sequence[Message]) -> list[bytes]:
        first = self._sequence + 1
        self._sequence += len(requests)
        self._socket.send(
            b"".join(
                _HEADER.pack(16 + len(body), kind, flags | 1, number, 0) + body
                for number, (kind, flags, body, _) in enumerate(requests, first)
            )
        )
        answers: list[bytes] = []
        while len(answers) < len(requests):
            for kind, flags, sequence, data in _split(self._socket.recv(1 << 18)):
                if sequence < first:
                    continue
                if kind == _NLMSG_ERROR:
                    number = -_ERROR.unpack_from(data)[0]
                    what = requests[sequence - first].what
                    raise NetlinkError(number, self.where, what, _reason(flags, data))
                answers.append(data)
        return answers

    def dump(self, kind: int, body: bytes) -> Iterator[bytes]:
        """The payloads of all answers to a dump request; raises NetlinkError."""
        self._sequence += 1
        flags = m.NLM_F_REQUEST | m.NLM_F_DUMP
        self._socket.send(_HEADER.pack(16 + len(body), kind, flags, self._sequence, 0) + body)
        while True:
            for answer, _, sequence, data in _split(self._socket.recv(1 << 18)):
                if sequence != self._sequence:
                    continue
                if answer in (_NLMSG_DONE, _NLMSG_ERROR):
                    number = -_ERROR.unpack_from(data)[0]
                    if number:
                        raise NetlinkError(number, self.where, "reading a table of the kernel")
                    return
                yield data


def _split(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """(type, flags, sequence number, payload) of each message of a datagram."""
    offset = 0
    while offset + 16 <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        yield kind, flags, sequence, data[offset + 16 : offset + length]
        offset += (length + 3) & ~3


def _reason(flags: int, data: bytes) -> str:
    """The extended acknowledgement's text in an NLMSG_ERROR payload."""
    if not flags & _NLM_F_ACK_TLVS:
        return ""
    inner = _HEADER.unpack_from(data, 4)[0]
    offset = 20 if flags & _NLM_F_CAPPED else 4 + ((inner + 3) & ~3)
    text = m.attributes(data, offset).get(_NLMSGERR_ATTR_MSG, b"")
    return text.rstrip(b"\0").decode(errors="replace")
