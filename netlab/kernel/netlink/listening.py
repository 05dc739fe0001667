"""The listening sockets of one network namespace (sock_diag(7)).

/proc/net/tcp would do, but it walks the connection table of the whole machine: 10 ms a namespace.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

# include/uapi/linux/netlink.h, sock_diag.h, inet_diag.h
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLMSG_ERROR, _NLMSG_DONE = 2, 3

#: struct inet_diag_req_v2: family, protocol, ext, pad, states, then struct inet_diag_sockid
_REQUEST = struct.Struct("=IHHII BBBxI 48x")
#: struct inet_diag_msg: family, state, timer, retrans, sockid (ports big-endian), …, uid, inode
_ANSWER = struct.Struct("=BBBB 2s2s 16s16s I II IIIII")

#: Protocol → (number, the states to list: TCP_LISTEN; for UDP TCP_CLOSE, a bound socket without a peer)
_PROTOCOLS = {"tcp": (6, 1 << 10), "udp": (17, 1 << 7), "sctp": (132, 1 << 10)}


class Listening(NamedTuple):
    """One socket: on which address and port it waits, and its inode."""

    protocol: str
    address: str
    port: int
    inode: int


def listening(protocols: tuple[str, ...] = ("tcp", "udp", "sctp")) -> Iterator[Listening]:
    """Every listening socket in the calling thread's network namespace; raises OSError.

    A protocol that this kernel lacks, or cannot list, has none.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as diag:
        for protocol in protocols:
            number, states = _PROTOCOLS[protocol]
            for family in (socket.AF_INET, socket.AF_INET6):
                size = _REQUEST.size
                diag.send(
                    _REQUEST.pack(
                        size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 1, 0, family, number, 0, states
                    )
                )
                yield from _answers(diag, protocol)


def _answers(diag: socket.socket, protocol: str) -> Iterator[Listening]:
    while True:
        data = memoryview(diag.recv(1 << 18))
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind == _NLMSG_DONE:
                return
            if kind == _NLMSG_ERROR:
                (code,) = struct.unpack_from("=i", data, 16)
                if code in (-2, -95):  # ENOENT, EOPNOTSUPP: no such protocol here
                    return
                raise OSError(-code, f"listing {protocol} sockets: {os.strerror(-code)}")
            fields = _ANSWER.unpack_from(data, 16)
            family, port, source, inode = fields[0], fields[4], fields[6], fields[-1]
            packed = source[:4] if family == socket.AF_INET else source
            yield Listening(protocol, socket.inet_ntop(family, packed), int.from_bytes(port, "big"), inode)
            data = data[(length + 3) & ~3 :]
