"""The interfaces of a network namespace as the kernel lists them: index, name, MAC, addresses.

Source of the layouts: include/uapi/linux/rtnetlink.h, if_link.h and if_addr.h.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct

from netlab.kernel import netns as namespaces
from netlab.kernel.netlink import message as m
from netlab.kernel.netlink.message import attributes
from netlab.kernel.netlink.socket import RouteSocket

_IFINFO = Struct("=BxHiII")
_IFADDR = Struct("=BBBBI")
_RTMGRP_LINK = 1


@dataclass(frozen=True, slots=True)
class KernelInterface:
    """One interface; ``addresses`` are bare, ``prefixes`` the same with their prefix length."""

    index: int
    name: str
    mac: bytes
    addresses: tuple[str, ...]
    prefixes: tuple[str, ...]


def read(netns: int | None = None) -> Mapping[int, KernelInterface]:
    """Index → interface, of the namespace ``netns`` (None: the caller's own); raises OSError."""
    with namespaces.inside(netns):
        sock = RouteSocket()
    with sock:
        addresses: dict[int, list[str]] = {}
        for data in sock.dump(m.RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)):
            family, length, _, _, index = _IFADDR.unpack_from(data)
            values = attributes(data, _IFADDR.size)
            raw = values.get(m.IFA_LOCAL, values.get(m.IFA_ADDRESS))
            if raw is not None and family in (socket.AF_INET, socket.AF_INET6):
                addresses.setdefault(index, []).append(f"{socket.inet_ntop(family, raw)}/{length}")
        found = {}
        body = _IFINFO.pack(0, 0, 0, 0, 0) + m.attribute(m.IFLA_EXT_MASK, b"\x08\0\0\0")
        for data in sock.dump(m.RTM_GETLINK, body):
            _, _, index, _, _ = _IFINFO.unpack_from(data)
            values = attributes(data, _IFINFO.size)
            found[index] = KernelInterface(
                index,
                values[m.IFLA_IFNAME].rstrip(b"\0").decode(),
                values.get(m.IFLA_ADDRESS, b""),
                tuple(address.partition("/")[0] for address in addresses.get(index, ())),
                tuple(addresses.get(index, ())),
            )
        return found


class LinkMonitor:
    """Notices interfaces that are added, removed or changed in a namespace, until :meth:`close`."""

    def __init__(self, netns: int | None = None) -> None:
        """Raises OSError."""
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        with namespaces.inside(netns):
            self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, _RTMGRP_LINK))

    def changed(self) -> bool:
        """Whether anything has changed since the last call."""
        found = False
        while True:
            try:
                self._socket.recv(1)
            except BlockingIOError:
                return found
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # more changed than there was room for
                    raise
            found = True

    def close(self) -> None:
        """Close the socket; idempotent."""
        self._socket.close()
