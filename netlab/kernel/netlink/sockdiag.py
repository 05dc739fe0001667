"""Connections as sock_diag lists them, and the process that holds both ends of a proxied one.

For a proxy that does not say which client became which connection of its own (the real docker-proxy): the
process that holds the client's connection holds the other one too. Layouts:
include/uapi/linux/inet_diag.h; the holders are read from /proc.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink.nf_tables import messages

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
#: 1 << TCP_ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT: connections that a process still holds
_CONNECTED: Final = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8
_REQUEST = Struct("=BBBxI")  # family, protocol, extensions, states
_ID = Struct(">HH16s16s")
_INODE_AT: Final = 4 + 48 + 16


@dataclass(frozen=True, slots=True)
class Connection:
    """One TCP connection of a namespace; IPv4 addresses are plain also on dual-stack sockets."""

    local: tuple[str, int]
    remote: tuple[str, int]
    inode: int


def connections(netns: int | None) -> list[Connection]:
    """The TCP connections of a namespace (None: the caller's own), both families; raises OSError."""
    with nullcontext() if netns is None else namespaces.entered(netns):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
    found = []
    with sock:
        for family in (socket.AF_INET, socket.AF_INET6):
            body = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _CONNECTED) + bytes(48)
            sock.send(Struct("=IHHII").pack(16 + len(body), _SOCK_DIAG_BY_FAMILY, 0x301, 0, 0) + body)
            found += [_connection(data) for data in messages(sock)]
    return found


def _connection(data: bytes) -> Connection:
    sport, dport, src, dst = _ID.unpack_from(data, 4)
    family = data[0]
    inode = int.from_bytes(data[_INODE_AT : _INODE_AT + 4], _NATIVE)
    return Connection((_address(family, src), sport), (_address(family, dst), dport), inode)


def _address(family: int, octets: bytes) -> str:
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, octets[:4])
    text = socket.inet_ntop(socket.AF_INET6, octets)
    return text[7:] if text.startswith("::ffff:") and "." in text else text


def other_ends(netns: int | None, client: tuple[str, int], asked: tuple[str, int]) -> list[Connection]:
    """The connections that may be the one which whoever serves ``client`` at ``asked`` opened for it.

    They are the same process's. One is evidence; none says that nobody serves it here, or that whoever does
    answers itself; several say nothing: ask again with one flow at a time.
    """
    known = connections(netns)
    served = next((c for c in known if (c.remote, c.local) == (client, asked)), None)
    if served is None:
        return []
    held = next((inodes for inodes in _held() if served.inode in inodes), frozenset())
    return [c for c in known if c.inode in held and c is not served and c.local[1] != asked[1]]


def _held() -> Iterator[frozenset[int]]:
    """The socket inodes of each process of this PID namespace."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            links = [_target(fd) for fd in (process / "fd").iterdir()]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or is not ours to look at
        yield frozenset(int(link[8:-1]) for link in links if link.startswith("socket:["))


def _target(fd: Path) -> str:
    try:
        return str(fd.readlink())
    except FileNotFoundError:
        return ""  # closed meanwhile


_NATIVE: Final = "little" if Struct("=H").pack(1) == b"\1\0" else "big"
