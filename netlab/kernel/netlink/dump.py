"""Read back a network namespace: links, addresses, routes, neighbours."""

from __future__ import annotations

import _socket
from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct

from netlab.kernel.netlink import message as m
from netlab.kernel.netlink.socket import RouteSocket, attributes

_IFINFO = Struct("=BxHiII")
_IFADDR = Struct("=BBBBI")
_RTMSG = Struct("=BBBBBBBBI")
_NDMSG = Struct("=BxxxiHBB")
_U32 = Struct("=I")
_SKIP_STATS = m.attribute(m.IFLA_EXT_MASK, _U32.pack(m.RTEXT_FILTER_SKIP_STATS))

#: RFC 2863, include/uapi/linux/if.h
OPER_UNKNOWN, OPER_UP = 0, 6
_RTN_UNICAST, _RTN_LOCAL = 1, 2
_RT_TABLE_MAIN = 254


@dataclass(frozen=True, slots=True)
class Link:
    """A link. ``kind`` is empty for a physical one and loopback; ``master`` and ``peer`` are indexes or 0."""

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    operstate: int
    master: int
    peer: int

    @property
    def ready(self) -> bool:
        """Whether packets pass: the kernel's link watch has seen the carrier."""
        return self.operstate in (OPER_UNKNOWN, OPER_UP)


def link(data: bytes) -> Link:
    """The link in the payload of an RTM_NEWLINK message."""
    _, _, index, flags, _ = _IFINFO.unpack_from(data)
    found = attributes(data, 16)
    info = attributes(found.get(m.IFLA_LINKINFO, b""), 0)
    return Link(
        index,
        _text(found.get(m.IFLA_IFNAME, b"")),
        _text(info.get(m.IFLA_INFO_KIND, b"")),
        found.get(m.IFLA_ADDRESS, b"").hex(":"),
        _number(found.get(m.IFLA_MTU)),
        bool(flags & m.IFF_UP),
        found.get(m.IFLA_OPERSTATE, b"\0")[0],
        _number(found.get(m.IFLA_MASTER)),
        _number(found.get(m.IFLA_LINK)),
    )


def links(sock: RouteSocket) -> list[Link]:
    """Every link of the socket's namespace; raises NetlinkError."""
    return [link(data) for data in sock.dump(m.RTM_GETLINK, _IFINFO.pack(0, 0, 0, 0, 0) + _SKIP_STATS)]


def addresses(sock: RouteSocket) -> Iterator[tuple[int, str]]:
    """(ifindex, address with prefix length) of both families; raises NetlinkError."""
    for data in sock.dump(m.RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)):
        family, length, _, _, index = _IFADDR.unpack_from(data)
        found = attributes(data, _IFADDR.size)
        raw = found.get(m.IFA_LOCAL) or found.get(m.IFA_ADDRESS)
        if raw is not None:
            yield index, f"{_socket.inet_ntop(family, raw)}/{length}"


def is_local(data: bytes) -> bool:
    """Whether an answer to RTM_GETROUTE says that the address is the namespace's own."""
    return data[7] == _RTN_LOCAL


@dataclass(frozen=True, slots=True)
class KernelRoute:
    """A unicast route of the main table; ``destination`` is ``default`` or a prefix."""

    destination: str
    via: str | None
    index: int


def routes(sock: RouteSocket) -> Iterator[KernelRoute]:
    """The unicast routes of the main table, both families; raises NetlinkError."""
    for data in sock.dump(m.RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
        family, length, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(data)
        if table != _RT_TABLE_MAIN or kind != _RTN_UNICAST:
            continue
        found = attributes(data, _RTMSG.size)
        raw, via = found.get(m.RTA_DST), found.get(m.RTA_GATEWAY)
        destination = f"{_socket.inet_ntop(family, raw)}/{length}" if raw else "default"
        gateway = _socket.inet_ntop(family, via) if via else None
        yield KernelRoute(destination, gateway, _number(found.get(m.RTA_OIF)))


def neighbours(sock: RouteSocket) -> Iterator[tuple[int, str, str, bool]]:
    """(ifindex, address, MAC, whether it is permanent), both families; raises NetlinkError."""
    for data in sock.dump(m.RTM_GETNEIGH, _NDMSG.pack(0, 0, 0, 0, 0)):
        family, index, state, _, _ = _NDMSG.unpack_from(data)
        found = attributes(data, _NDMSG.size)
        raw = found.get(m.NDA_DST)
        if raw and family in (m.AF_INET, m.AF_INET6):
            mac = found.get(m.NDA_LLADDR, b"").hex(":")
            yield index, _socket.inet_ntop(family, raw), mac, bool(state & m.NUD_PERMANENT)


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _number(value: bytes | None) -> int:
    return _U32.unpack(value)[0] if value else 0
