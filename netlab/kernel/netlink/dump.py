"""Read back a network namespace: links, addresses, routes, neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from netlab.kernel.netlink import message as m
from netlab.kernel.netlink.message import attributes
from netlab.kernel.netlink.socket import RouteSocket

_IFINFO = Struct("=BxHiII")
_U32 = Struct("=I")
_SKIP_STATS = m.attribute(m.IFLA_EXT_MASK, _U32.pack(m.RTEXT_FILTER_SKIP_STATS))

#: RFC 2863, include/uapi/linux/if.h
OPER_UNKNOWN, OPER_UP = 0, 6
_RTN_LOCAL = 2


@dataclass(frozen=True, slots=True)
class Link:
    """A link. ``kind`` is empty for physical links and loopback; ``master`` and ``peer`` are indexes or 0."""

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


def is_local(data: bytes) -> bool:
    """Whether an answer to RTM_GETROUTE says that the address is the namespace's own."""
    return data[7] == _RTN_LOCAL


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _number(value: bytes | None) -> int:
    return _U32.unpack(value)[0] if value else 0
