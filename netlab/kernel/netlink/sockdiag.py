"""The sockets of a network namespace by sock_diag(7), packed by hand, for many queries per second.

/proc/net/tcp has the same data, but walks the connection table of the whole machine: 10 ms per namespace. The
real docker-proxy does not report which client became which connection, but the process that holds the
client's connection holds the other one, too. Layouts: include/uapi/linux/inet_diag.h.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from netlab.kernel import netns as namespaces
from netlab.kernel import process
from netlab.kernel.netlink.message import attributes
from netlab.kernel.netlink.nf_tables import messages
from netlab.model.family import FAMILIES, unmapped

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_NLM_F_REQUEST_DUMP: Final = 0x301
_LISTEN: Final = 1 << 10
#: 1 << TCP_ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT: connections that a process still holds
_CONNECTED: Final = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8
#: protocol → its number, and the states: TCP_LISTEN, for UDP TCP_CLOSE (bound, without a peer)
_WAITING: Final = {"tcp": (6, 1 << 10), "udp": (17, 1 << 7), "sctp": (132, 1 << 10)}
_HEADER = Struct("=IHHII")
_REQUEST = Struct("=BBBxI48x")  # family, protocol, extensions, states, struct inet_diag_sockid
_ID = Struct(">HH16s16s")
#: struct inet_diag_msg; INET_DIAG_SKV6ONLY, which the kernel adds for each IPv6 socket that waits
_MESSAGE_SIZE: Final = 72
_V6ONLY: Final = 11
_INODE_AT: Final = 4 + 48 + 16
_RECEIVE_QUEUE_AT: Final = 4 + 48 + 4


class Connection(NamedTuple):
    """One TCP socket of a namespace; IPv4 addresses are plain also on dual-stack sockets."""

    local: tuple[str, int]
    remote: tuple[str, int]
    inode: int


def connections(netns: int | None) -> list[Connection]:
    """The TCP connections of a namespace (None: the caller's own), both families; raises OSError."""
    return list(_tcp_sockets(netns, _CONNECTED))


def listening_ports(netns: int | None) -> set[int]:
    """The TCP ports with a listener in a namespace (None: the caller's own); raises OSError."""
    return {found.local[1] for found in _tcp_sockets(netns, _LISTEN)}


def waiting(protocol: str) -> Iterator[tuple[tuple[str, int], int]]:
    """Address, port and inode of each listening socket in the calling thread's namespace.

    A dual-stack socket is listed twice, with both wildcard addresses.
    """
    number, states = _WAITING[protocol]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as sock:
        for family in FAMILIES:
            sock.send(request(family.af, states, number))
            try:
                for data in messages(sock):
                    found = connection(data)
                    yield found.local, found.inode
                    if found.local[0] == "::" and attributes(data, _MESSAGE_SIZE).get(_V6ONLY) == b"\0":
                        yield ("0.0.0.0", found.local[1]), found.inode
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EOPNOTSUPP):  # the kernel lacks the protocol
                    raise


def unread(protocol: str) -> dict[tuple[str, int], int]:
    """Waiting sockets of the calling thread's namespace → what no program has taken from them.

    For TCP these are connections whose handshake the kernel has completed, for UDP octets; ``ss -l`` shows
    the number as Recv-Q. Raises OSError.
    """
    number, states = _WAITING[protocol]
    found: dict[tuple[str, int], int] = {}
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG) as sock:
        for family in FAMILIES:
            sock.send(request(family.af, states, number))
            for data in messages(sock):
                queue = data[_RECEIVE_QUEUE_AT : _RECEIVE_QUEUE_AT + 4]
                found[connection(data).local] = int.from_bytes(queue, sys.byteorder)
    return found


def holders(inode: int) -> list[int]:
    """The processes of this PID namespace that hold a socket."""
    return [pid for pid, inodes in process.held_sockets() if inode in inodes]


def request(family: int, states: int, protocol: int = socket.IPPROTO_TCP) -> bytes:
    """A request for all sockets of a family (AF_*) that are in one of the states (1 << TCP_*)."""
    body = _REQUEST.pack(family, protocol, 0, states)
    return _HEADER.pack(16 + len(body), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST_DUMP, 0, 0) + body


def connection(data: bytes) -> Connection:
    """What an answer says: the payload of a message with a struct inet_diag_msg."""
    sport, dport, src, dst = _ID.unpack_from(data, 4)
    family = data[0]
    inode = int.from_bytes(data[_INODE_AT : _INODE_AT + 4], sys.byteorder)
    return Connection((_address(family, src), sport), (_address(family, dst), dport), inode)


def _tcp_sockets(netns: int | None, states: int) -> Iterator[Connection]:
    with namespaces.inside(netns):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    with sock:
        for family in FAMILIES:
            sock.send(request(family.af, states))
            yield from map(connection, messages(sock))


def _address(family: int, octets: bytes) -> str:
    return unmapped(socket.inet_ntop(family, octets[:4] if family == socket.AF_INET else octets))


def other_ends(netns: int | None, client: tuple[str, int], asked: tuple[str, int]) -> list[Connection]:
    """The connections that the process which serves ``client`` at ``asked`` may have opened for it.

    They belong to the same process. A single one is proof. None means that no process serves it here, or that
    the process answers itself. Several prove nothing: measure again, one flow at a time.
    """
    known = connections(netns)
    served = next((c for c in known if (c.remote, c.local) == (client, asked)), None)
    if served is None:
        return []
    held = next((inodes for _, inodes in process.held_sockets() if served.inode in inodes), frozenset())
    return [c for c in known if c.inode in held and c is not served and c.local[1] != asked[1]]
